package distro

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// world is members, the network between them and their clients, in one bubble of
// time. One goroutine drives it, so a seed names one run, but for the order of
// what happens in one instant.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	ctx     context.Context
	nodes   []*node
	cuts    map[[2]uint64]time.Time // since when
	flights []*flight
	loss    float64 // of messages, and of what comes back
	slow    time.Duration
	mute    bool // nothing arrives, and pings do
	skewed  bool // clocks are up to four seconds wrong
	clients []*client
	serial  int
	ended   map[string]bool // scopes of clients that said goodbye
}

// node is one member.
type node struct {
	world  *world
	id     uint64
	epoch  uint64
	skew   time.Duration
	state  *state // nil: it does not run
	dist   *Engine
	engine *catalog.Engine
	local  registry.Ephemeral
	stop   context.CancelFunc
	down   time.Time // since when it does not run
	busy   map[uint64]bool
	seen   map[string]bool // clients that were here in this run; false: not any more
}

// flight is a message on its way.
type flight struct {
	from, to *node
	run      uint64 // of from
	body     []byte
	out      *outgoing // nil: a copy
	at       time.Time
	lost     bool
	deaf     bool // it arrives, and the sender does not hear of it
}

// client is a process that registered one instance per service.
type client struct {
	scope    string
	host     string
	port     uint16
	services []string
	node     *node     // nil: it is between two, or has no connection
	at       time.Time // when it connects again, or of its next beat
	free     bool      // it lives by beats
	orphan   bool      // it died together with its member
}

const step = 50 * time.Millisecond

func newWorld(t *testing.T, seed uint64, members int) *world {
	t.Helper()
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), ctx: t.Context(), cuts: map[[2]uint64]time.Time{}, ended: map[string]bool{}}
	w.skewed = w.rnd.IntN(2) == 0
	for i := range members {
		n := &node{world: w, id: uint64(i + 1)}
		if w.skewed {
			n.skew = time.Duration(w.rnd.IntN(8000)-4000) * time.Millisecond
		}
		w.nodes = append(w.nodes, n)
		w.start(n)
	}
	return w
}

func (w *world) start(n *node) {
	n.epoch++
	n.engine = catalog.New(catalog.Settings{Member: n.id})
	n.busy, n.seen = map[uint64]bool{}, map[string]bool{}
	n.dist = New(Options{Member: n.id, Epoch: n.epoch, Catalog: n.engine, Transport: n})
	n.local = n.dist.Ephemeral("test")
	n.state = n.dist.state
	n.state.settings.Clock = func() uint64 { return uint64(time.Now().Add(n.skew).UnixMilli()) }
	ctx, stop := context.WithCancel(w.ctx)
	n.stop = stop
	keeper := catalog.Keeper{Engine: n.engine, Leads: func() bool { return false }}
	go keeper.Run(ctx)
}

// kill ends a member as kill -9 does. Its clients connect again, or died with it.
func (w *world) kill(n *node) {
	n.stop()
	n.dist.Shutdown()
	n.state, n.engine, n.local, n.down = nil, nil, nil, time.Now()
	for _, c := range w.clients {
		if c.node == n {
			c.node, c.at = nil, time.Now().Add(time.Duration(w.rnd.IntN(20_000))*time.Millisecond)
			c.orphan = w.rnd.IntN(4) == 0
		}
	}
	w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.orphan })
}

func (w *world) close() {
	for _, n := range w.nodes {
		if n.state != nil {
			n.stop()
			n.dist.Shutdown()
		}
	}
}

// Members implements Transport; members are not started, the world drives them.
func (n *node) Members() []Member { return n.world.members(n) }

// Call implements Transport: writes for publishers of other members take no time.
// One that is lost may have been done.
func (n *node) Call(ctx context.Context, to uint64, method string, body []byte) ([]byte, error) {
	w := n.world
	m := w.nodes[to-1]
	if _, cut := w.cuts[pair(n.id, to)]; cut || m.state == nil || w.rnd.Float64() < w.loss {
		return nil, errors.New("lost")
	}
	out, err := m.dist.Handle(ctx, n.id, method, body)
	if w.rnd.Float64() < w.loss {
		return nil, errors.New("lost")
	}
	return out, err
}

func pair(a, b uint64) [2]uint64 { return [2]uint64{min(a, b), max(a, b)} }

func (w *world) members(n *node) []Member {
	var out []Member
	for _, m := range w.nodes {
		since := time.Time{}
		if m.state == nil {
			since = m.down
		}
		if cut, is := w.cuts[pair(n.id, m.id)]; is && (since.IsZero() || cut.Before(since)) {
			since = cut
		}
		c := Up
		switch age := time.Since(since); {
		case since.IsZero() || age < time.Second:
		case age < 4*time.Second:
			c = Suspect
		default:
			c = Down
		}
		out = append(out, Member{m.id, c})
	}
	return out
}

func elapse(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
}

// run lets time pass; act is called in every step.
func (w *world) run(d time.Duration, act func()) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		elapse(step)
		synctest.Wait()
		if act != nil {
			act()
		}
		w.connect()
		for _, n := range w.nodes {
			if n.state != nil {
				n.state.tick(time.Now(), w.members(n))
			}
		}
		for _, n := range w.nodes {
			w.post(n)
		}
		w.deliver()
		w.watch()
	}
}

// post puts what a member has to say on its way.
func (w *world) post(n *node) {
	if n.state == nil {
		return
	}
	for _, m := range w.nodes {
		if m == n || n.busy[m.id] {
			continue
		}
		o := n.state.next(m.id, time.Now())
		if o == nil {
			continue
		}
		body, err := proto.Marshal(o.message)
		if err != nil {
			w.t.Fatal(err)
		}
		n.busy[m.id] = true
		f := &flight{from: n, to: m, run: n.epoch, body: body, out: o, at: time.Now().Add(w.delay())}
		f.lost, f.deaf = w.rnd.Float64() < w.loss, w.rnd.Float64() < w.loss
		w.flights = append(w.flights, f)
		if w.rnd.Float64() < w.loss { // once more, much later
			w.flights = append(w.flights, &flight{from: n, to: m, run: n.epoch, body: body, at: time.Now().Add(20 * w.delay())})
		}
	}
}

func (w *world) delay() time.Duration {
	if w.slow == 0 {
		return 0
	}
	return time.Duration(w.rnd.Int64N(int64(w.slow)))
}

func (w *world) deliver() {
	flights := w.flights
	w.flights = nil
	for _, f := range flights {
		if f.at.After(time.Now()) {
			w.flights = append(w.flights, f)
			continue
		}
		_, cut := w.cuts[pair(f.from.id, f.to.id)]
		ok := !cut && !w.mute && !f.lost && f.to.state != nil
		if ok {
			var m peerv1.DistroMessage
			if err := proto.Unmarshal(f.body, &m); err != nil {
				w.t.Fatal(err)
			}
			ok = f.to.state.receive(f.from.id, &m, time.Now()) == nil
		}
		if f.out != nil && f.from.state != nil && f.from.epoch == f.run {
			f.from.busy[f.to.id] = false
			f.from.state.sent(f.to.id, f.out, ok && !f.deaf, time.Now())
		}
	}
}

// connect lets clients connect that are between two members.
func (w *world) connect() {
	for _, c := range w.clients {
		if c.free {
			w.beat(c)
			continue
		}
		if c.node == nil && !time.Now().Before(c.at) {
			if n := w.anyone(); n != nil {
				w.serial++
				c.scope, c.node = fmt.Sprintf("client-%d", w.serial), n
				w.register(c)
			}
		}
	}
}

// anyone is a member that runs and has been told of the others.
func (w *world) anyone() *node {
	var up []*node
	for _, n := range w.nodes {
		if n.state != nil {
			up = append(up, n)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[w.rnd.IntN(len(up))]
}

func (w *world) register(c *client) { w.registerAt(c, c.node, c.node.id) }

func (w *world) registerAt(c *client, n *node, member uint64) {
	k := registry.PublisherKey{Scope: c.scope}
	if err := n.local.Open(w.ctx, registry.Publisher{Key: k, Member: member}); err != nil {
		w.t.Fatalf("Open(%s) = %v", c.scope, err)
	}
	var rs []registry.Registration
	for _, s := range c.services {
		r := registry.Registration{Service: service(s), Host: c.host, Port: c.port, Weight: 1, Enabled: true}
		if c.free {
			r.Expiry = registry.Expiry{Unhealthy: 15 * time.Second, Remove: 30 * time.Second}
		}
		rs = append(rs, r)
	}
	if err := n.local.Publish(w.ctx, k, registry.Merge, rs); err != nil && !errors.Is(err, kv.ErrNotFound) {
		w.t.Fatalf("Publish(%s) = %v", c.scope, err)
	}
}

func service(name string) registry.ServiceKey {
	return registry.ServiceKey{Namespace: "public", Group: "g", Name: name}
}

// names are the instances of a client.
func (c *client) names() (ks []registry.InstanceKey) {
	for _, s := range c.services {
		ks = append(ks, registry.InstanceKey{
			Publisher: registry.PublisherKey{Scope: c.scope}, Service: service(s), ID: fmt.Sprintf("%s:%d", c.host, c.port),
		})
	}
	return ks
}

// beat lets a client without a connection say that it lives, to any member, and
// register when it is told to.
func (w *world) beat(c *client) {
	if time.Now().Before(c.at) {
		return
	}
	n := w.anyone()
	if n == nil {
		return
	}
	c.at = time.Now().Add(5 * time.Second)
	var bs []registry.Beat
	for _, k := range c.names() {
		bs = append(bs, registry.Beat{Instance: k})
	}
	unknown, err := n.local.Beat(w.ctx, bs)
	if err != nil {
		w.t.Fatalf("Beat(%s) = %v", c.scope, err)
	}
	if len(unknown) > 0 {
		w.registerAt(c, n, 0)
	}
}

// join makes a new client.
func (w *world) join() {
	n := w.anyone()
	if n == nil {
		return
	}
	w.serial++
	c := &client{
		scope: fmt.Sprintf("client-%d", w.serial), host: fmt.Sprintf("host-%05d", w.serial), port: 80, node: n,
	}
	if w.rnd.IntN(2) == 0 {
		c.free, c.node = true, nil
	}
	for range 1 + w.rnd.IntN(3) {
		c.services = append(c.services, fmt.Sprintf("s%d", w.rnd.IntN(5)))
	}
	slices.Sort(c.services)
	c.services = slices.Compact(c.services)
	w.clients = append(w.clients, c)
	if !c.free {
		w.register(c)
	}
}

// leave lets a client say goodbye.
func (w *world) leave() {
	if len(w.clients) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.clients))
	c := w.clients[i]
	if c.free {
		w.withdraw(c)
		w.clients = slices.Delete(w.clients, i, i+1)
		return
	}
	if c.node == nil {
		return
	}
	if err := c.node.local.Close(w.ctx, []registry.PublisherKey{{Scope: c.scope}}); err != nil {
		w.t.Fatalf("Close(%s) = %v", c.scope, err)
	}
	w.ended[c.scope] = true
	w.clients = slices.Delete(w.clients, i, i+1)
}

// withdraw lets a client without a connection say goodbye to any member. It counts
// as heard when that member, or the one that answers for the client, knew it.
func (w *world) withdraw(c *client) {
	n := w.anyone()
	if n == nil {
		return
	}
	_, known := n.engine.Home(registry.PublisherKey{Owner: "test", Scope: c.scope})
	err := n.local.Withdraw(w.ctx, registry.PublisherKey{Scope: c.scope}, c.names())
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		w.t.Fatalf("Withdraw(%s) = %v", c.scope, err)
	}
	// With wrong clocks, the last word to two members that do not hear each other may
	// be taken for the first one: such an instance goes for want of beats.
	w.ended[c.scope] = known && err == nil && !w.skewed
}

// watch sees that nobody comes back who has said goodbye (REL-21).
func (w *world) watch() {
	for _, n := range w.nodes {
		if n.state == nil {
			continue
		}
		there := n.scopes(w)
		for c := range there {
			if here, known := n.seen[c]; known && !here {
				w.t.Fatalf("member %d: %s is back after it has left", n.id, c)
			}
			n.seen[c] = true
		}
		for c, here := range n.seen {
			if here && !there[c] {
				if w.ended[c] {
					n.seen[c] = false
				} else {
					delete(n.seen, c)
				}
			}
		}
	}
}

func (n *node) scan(w *world) []*registry.Snapshot {
	p, err := n.engine.Scan(w.ctx, registry.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Snapshots
}

func (n *node) scopes(w *world) map[string]bool {
	out := map[string]bool{}
	for _, s := range n.scan(w) {
		for _, e := range s.Endpoints {
			out[e.Publisher.Key.Scope] = true
		}
	}
	return out
}

// picture is everything a member shows.
func (n *node) picture(w *world) string {
	var b strings.Builder
	for _, s := range n.scan(w) {
		for _, e := range s.Endpoints {
			p := e.Publisher
			home := p.Member
			if p.Stale {
				home = 0
			}
			fmt.Fprintf(&b, "%s %s:%d %s/%d stale=%t health=%d\n", s.Key.Name, e.Host, e.Port, p.Key.Scope, home, p.Stale, e.Health)
		}
	}
	return b.String()
}

// model is what should be there: the instances of all clients.
func (w *world) model() string {
	var lines []string
	for _, c := range w.clients {
		for _, s := range c.services {
			home := choose(hashKey(&registry.PublisherKey{Owner: "test", Scope: c.scope}), w.nodes[0].state.ring)
			if c.node != nil {
				home = c.node.id
			}
			lines = append(lines, fmt.Sprintf("%s %s:%d %s/%d stale=false health=1\n", s, c.host, c.port, c.scope, home))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// equal waits until all members show the same, want if it is not empty.
func (w *world) equal(limit time.Duration, want string) {
	w.t.Helper()
	var pictures []string
	differ := func() bool {
		pictures = nil
		for _, n := range w.nodes {
			if n.state != nil {
				pictures = append(pictures, n.picture(w))
			}
		}
		if want != "" && pictures[0] != want {
			return true
		}
		return slices.ContainsFunc(pictures, func(p string) bool { return p != pictures[0] })
	}
	for end := time.Now().Add(limit); differ(); w.run(step, nil) {
		if !time.Now().Before(end) {
			w.t.Fatalf("members differ after %v:\n%s", limit, differences(append(pictures, want)))
		}
	}
}
