package cluster

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

// held is what a failpoint does here: it stops whoever comes by, for longer than
// any test, and the process is killed meanwhile. A panic would not do: handlers of
// calls are recovered.
const held = "sleep(600000)"

// pointed is a site whose members have failpoints.
type pointed struct {
	*site
	ports  []int // of gofail in each member
	client *web
}

func newPointed(t *testing.T, built node.Instrumented) *pointed {
	t.Helper()
	p := &pointed{client: newWeb()}
	t.Cleanup(p.client.close)
	seed := seedOf(t)
	o := members.Options{Binary: built.Binary, Seed: seed, Env: func(int) []string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.ports = append(p.ports, l.Addr().(*net.TCPAddr).Port)
		_ = l.Close()
		return []string{"GOFAIL_HTTP=127.0.0.1:" + strconv.Itoa(p.ports[len(p.ports)-1])}
	}}
	p.site = begin(t, o)
	return p
}

func (p *pointed) url(i int, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/%s", p.ports[i], path)
}

// arm makes a failpoint of a member hold from a later pass on.
func (p *pointed) arm(i int, point string, skip int) {
	p.t.Helper()
	terms := held
	if skip > 0 {
		terms = fmt.Sprintf("%d*off->%s", skip, held)
	}
	if err := p.client.put(p.t.Context(), p.url(i, point), terms); err != nil {
		p.t.Fatalf("arm %s: %v", point, err)
	}
}

var errNotReached = errors.New("not reached")

// reached waits until a failpoint of one of some members was passed so often, and
// kills them there, the others wherever they are.
func (p *pointed) reached(point string, passes int, limit time.Duration, of ...int) {
	p.t.Helper()
	at := -1
	took := members.Within(p.t, limit, fmt.Sprintf("of members %v one is at %s", of, point), func() error {
		for _, i := range of {
			text, err := p.client.send(p.t.Context(), "GET", p.url(i, point+"/count"), nil)
			if n, _ := strconv.Atoi(text); err == nil && n >= passes {
				at = i
				return nil
			}
		}
		return errNotReached
	})
	for _, i := range of {
		p.c.Nodes[i].Kill()
	}
	p.t.Logf("member %d was killed at %s after %v", at, point, took.Round(time.Millisecond))
}

// pointLimit is how long the load may take to get to a failpoint.
const pointLimit = 10 * time.Second

// TestFailpoints (REL-01, ARC-L07): members are killed at failpoints under load,
// leaders and followers, and while a member joins, its snapshot is sent, taken and
// installed. Nothing acknowledged is lost.
func TestFailpoints(t *testing.T) {
	built := node.Instrument(t)
	t.Run("load", func(t *testing.T) { loadPoints(t, built) })
	t.Run("join", func(t *testing.T) { joinPoints(t, built) })
}

// underLoad are the failpoints that any load passes: all in the long set.
func underLoad(points []string) []string {
	elsewhere := slices.Concat(receiving(), sending(), []string{
		// A log of 64 MiB: e2e/durability writes so much.
		"raftlogBeforeRoll", "raftlogAfterRoll", "raftlogBeforeCut", "raftlogAfterCut",
	})
	if !full() {
		return []string{"raftnodeBeforeSend", "peerBeforeSend", "raftnodeBeforeReply", "raftnodeAfterSave"}
	}
	return slices.DeleteFunc(slices.Clone(points), func(p string) bool {
		// No load makes or restores backups: their own tests do.
		return slices.Contains(elsewhere, p) || strings.HasPrefix(p, "backup")
	})
}

// sending are those that a leader passes when a member joins, receiving those of
// the member, in their order.
func sending() []string {
	return []string{"raftnodeBeforeConfChange", "raftnodeAfterConfChange", "peerInSnapshot"}
}

func receiving() []string {
	return []string{
		"storeBeforeSnapshotSave", "storeAfterSnapshotSave", "raftnodeBeforeReset", "raftnodeAfterReset",
		"raftnodeBeforeInstall", "storeBeforeSwap", "storeAfterSwap",
	}
}

func loadPoints(t *testing.T, built node.Instrumented) {
	t.Helper()
	p := newPointed(t, built)
	for n, point := range underLoad(built.Points) {
		for _, leads := range either([]bool{n%2 == 0}, []bool{true, false}) {
			victim := p.c.Leader()
			if !leads {
				victim = p.c.Followers()[p.rng.IntN(2)]
			}
			skip := p.rng.IntN(30)
			p.arm(victim, point, skip)
			p.reached(point, skip+1, pointLimit, victim)
			p.c.Leader(victim)
			p.more(3)
			p.restart(victim)
		}
	}
	p.c.Voters(3)
	p.judge()
}

// joinLimit is how long a member may take to be let in again, the old one with its
// address being gone.
const joinLimit = 30 * time.Second

// spawn starts members with a failpoint that holds from the start.
func (p *pointed) spawn(point string, which ...int) {
	p.t.Helper()
	for _, i := range which {
		if err := p.c.Nodes[i].Spawn("GOFAIL_FAILPOINTS=" + point + "=" + held); err != nil {
			p.t.Fatal(err)
		}
	}
}

// joinPoints gives a member an empty disk, and kills the leader or the member at
// each step of its way back.
func joinPoints(t *testing.T, built node.Instrumented) {
	t.Helper()
	p := newPointed(t, built)
	p.more(5)
	joiner := p.c.Followers()[0]
	others := []int{(joiner + 1) % 3, (joiner + 2) % 3}
	p.wipe(joiner)
	for _, i := range others {
		p.arm(i, sending()[0], 0)
	}
	p.c.Spawn(joiner)
	for n, point := range sending() {
		p.reached(point, 1, joinLimit, others...)
		if n+1 < len(sending()) {
			p.spawn(sending()[n+1], others...)
		}
	}
	p.c.Spawn(others...)
	p.c.Ready()
	p.c.Voters(3)

	p.wipe(joiner)
	for _, point := range receiving() {
		p.spawn(point, joiner)
		p.reached(point, 1, joinLimit, joiner)
	}
	p.c.Start(joiner)
	p.c.Voters(3)
	p.more(3)
	p.judge()
}
