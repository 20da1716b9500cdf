package durability

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/losefs"
	"github.com/easynet-cn/batata/e2e/node"
)

const (
	// restartLimit is what REL-01 allows from the start of the process to
	// readiness.
	restartLimit = 2 * time.Second
	// minAcked is how much load a round must carry to count.
	minAcked = 20
	// roundLimit ends a round whose server answers too slowly.
	roundLimit = 20 * time.Second
	// pointLimit and bigLimit are how long a failpoint is waited for under
	// normal load, and under one of big contents.
	pointLimit = 2 * time.Second
	bigLimit   = 15 * time.Second
)

// TestKill (REL-01, REL-02, REL-03): the server is killed at a random moment
// under load and the power is cut; every acknowledged request is found after
// the restart, which is quick.
func TestKill(t *testing.T) {
	rounds := 6
	if full() {
		rounds = 60
	}
	for _, clients := range []int{1, 64} {
		t.Run(fmt.Sprintf("%d clients", clients), func(t *testing.T) {
			killRounds(t, clients, rounds, node.Options{})
		})
	}
}

func killRounds(t *testing.T, clients, rounds int, o node.Options) {
	t.Helper()
	s := newSite(t, clients, seedOf(t), o)
	s.start()
	for round := range rounds {
		s.killRound(lossOf(round))
	}
}

// killRound is one life of the server, its violent end and its return.
//
// Every other time the process alone is killed first, some way into another life:
// what it had not synced is found by the next one, and still not on the disk.
func (s *site) killRound(loss losefs.Loss) {
	s.t.Helper()
	if s.rng.IntN(2) == 0 {
		s.load(func(acked int64, since time.Duration) bool { return acked >= minAcked || since >= roundLimit })
		s.restart()
	}
	moment := time.Duration(s.rng.Int64N(int64(500 * time.Millisecond)))
	acked, died := s.load(func(acked int64, since time.Duration) bool {
		return acked >= minAcked && since >= moment || since >= roundLimit
	})
	if died || acked < minAcked {
		s.t.Fatalf("seed %d: server died %t with %d requests acknowledged, want it alive and at least %d", s.seed, died, acked, minAcked)
	}
	report := s.crash(loss)
	restart := s.restart()
	if err := s.verify(); err != nil {
		s.t.Errorf("seed %d: after a crash with loss %s: %v", s.seed, loss, err)
	}
	s.t.Logf("%d acknowledged, loss %s took %+v, ready again after %v", acked, loss, report, restart)
}

// restart starts the server and returns how long it took.
func (s *site) restart() time.Duration {
	s.t.Helper()
	began := time.Now()
	s.start()
	took := time.Since(began)
	s.restarts = append(s.restarts, took)
	return took
}

// punctual judges the restarts: most of them in time. One that was late on a busy
// machine says nothing.
func (s *site) punctual() {
	if len(s.restarts) == 0 {
		return
	}
	slices.Sort(s.restarts)
	median := s.restarts[len(s.restarts)/2]
	s.t.Logf("%d restarts: median %v, longest %v", len(s.restarts), median, s.restarts[len(s.restarts)-1])
	if median > restartLimit {
		s.t.Errorf("seed %d: ready %v after a start, want at most %v", s.seed, median, restartLimit)
	}
}

// TestOSDurabilityLoses (REL-02): the counter-proof. Without fsync the same
// runs lose acknowledged requests, or the server notices the damage and does
// not start.
func TestOSDurabilityLoses(t *testing.T) {
	const rounds = 5
	seed := seedOf(t)
	for round := range rounds {
		if lost := loseWithoutSync(t, seed+uint64(round)); lost != nil {
			t.Logf("round %d: lost as expected: %.300v", round, lost)
			return
		}
	}
	t.Errorf("durability os lost nothing in %d crashes, want a loss", rounds)
}

func loseWithoutSync(t *testing.T, seed uint64) error {
	t.Helper()
	s := newSite(t, 8, seed, node.Options{Sets: []string{"durability=os"}})
	s.start()
	s.load(func(acked int64, since time.Duration) bool { return acked >= 200 || since >= roundLimit })
	s.crash(losefs.All)
	if err := s.node.Start(t.Context()); err != nil {
		return err
	}
	defer s.node.Kill()
	return s.verify()
}

// TestFailedSyncEndsServer (REL-05): after a sync that failed nobody knows
// what is on the disk, so the server ends at once with an error, and what it
// had acknowledged is there when it starts again.
func TestFailedSyncEndsServer(t *testing.T) { failedSync(t, node.Options{}) }

func failedSync(t *testing.T, o node.Options) {
	t.Helper()
	s := newSite(t, 8, seedOf(t), o)
	s.start()
	failing := false
	acked, died := s.load(func(acked int64, since time.Duration) bool {
		if acked >= minAcked && !failing {
			failing = true
			// A segment that is only being prepared may meet the first.
			s.disk.FailSyncs(4)
		}
		return since >= roundLimit
	})
	if !died || s.node.ExitCode() == 0 {
		t.Errorf("seed %d: server died %t with exit code %d after a failed sync, want it to end with an error", s.seed, died, s.node.ExitCode())
	}
	report := s.crash(losefs.All)
	s.restart()
	if err := s.verify(); err != nil {
		t.Errorf("seed %d: after a failed sync: %v", s.seed, err)
	}
	t.Logf("%d acknowledged, the crash took %+v", acked, report)
}

// TestFullDisk (REL-04): without space the server refuses writes, goes on
// reading, and takes writes again, without a restart, once there is space.
func TestFullDisk(t *testing.T) { fullDisk(t, node.Options{}) }

func fullDisk(t *testing.T, o node.Options) {
	t.Helper()
	s := newSite(t, 8, seedOf(t), o)
	for _, c := range s.clients {
		c.big = 1
	}
	s.start()
	s.disk.LimitSpace(2 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), roundLimit)
	defer cancel()
	var acked atomic.Int64
	err := s.begin(ctx, &acked)()
	if ctx.Err() != nil {
		t.Errorf("seed %d: %d writes of %d bytes were taken in %v, want refusals for lack of space", s.seed, acked.Load(), bigPadding, roundLimit)
	}
	t.Logf("%d acknowledged, then %.200v", acked.Load(), err)
	if err := s.look(); err != nil {
		t.Errorf("seed %d: read on the full disk: %v", s.seed, err)
	}
	s.disk.LimitSpace(-1)
	s.untilTaken()
	s.killRound(losefs.All)
}

// untilTaken publishes until it succeeds.
func (s *site) untilTaken() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), roundLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	c := s.clients[0]
	for {
		it := c.items[0]
		state := c.next(it)
		it.send(state)
		err := c.request(s.node.URL(), it.name, state)
		if err == nil {
			it.acknowledged()
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("seed %d: publish with space again = %v, want it taken within %v", s.seed, err, roundLimit)
		case <-tick.C:
		}
	}
}

// ofMembers are the failpoints that a node alone does not pass, with the
// reason. e2e/cluster walks through them.
func ofMembers() map[string]string {
	const (
		install = "a snapshot is received from another member only"
		group   = "there is no other member"
		restore = "nothing is restored; see e2e/backup"
		repair  = "nothing is repaired; see e2e/backup"
	)
	return map[string]string{
		"storeBeforeSwap": install, "storeAfterSwap": install,
		"storeBeforeSnapshotSave": install, "storeAfterSnapshotSave": install,
		"raftnodeBeforeReset": install, "raftnodeAfterReset": install,
		"raftnodeBeforeConfChange": group, "raftnodeBeforeSend": group,
		"peerBeforeSend": group, "peerInSnapshot": install,
		"raftnodeAfterConfChange": group, "raftnodeBeforeInstall": install,
		"backupAfterReceive": restore, "backupBeforeComplete": restore, "backupAfterComplete": restore,
		"backupAfterPlace": restore, "backupBeforeRemove": restore,
		"repairBeforeRenew": repair, "repairBeforeSwap": repair, "repairInSwap": repair,
	}
}

// TestFailpoints (REL-01, CTR-V02): the server panics at each failpoint in
// turn, somewhere in a run of load, and the power is cut.
func TestFailpoints(t *testing.T) {
	built := node.Instrument(t)
	lives := 1
	if full() {
		lives = 10
	}
	elsewhere := ofMembers()
	for number, point := range built.Points {
		if reason := elsewhere[point]; reason != "" {
			delete(elsewhere, point)
			t.Logf("%s: %s", point, reason)
			continue
		}
		t.Run(point, func(t *testing.T) {
			s := newSite(t, 16, seedOf(t)+uint64(number), node.Options{Binary: built.Binary})
			for life := range lives {
				s.failAt(point, lossOf(number+life))
			}
		})
	}
	for point := range elsewhere {
		t.Errorf("the sources have no failpoint %s any more", point)
	}
}

// failAt is one life that ends at a failpoint, and the return from it. The
// point is armed from the first or from a later pass on, so that starts are
// hit as well; what normal load does not reach, big contents may.
func (s *site) failAt(point string, loss losefs.Loss) {
	s.t.Helper()
	skip := s.rng.IntN(2) * s.rng.IntN(30)
	acked, died := s.armed(fmt.Sprintf("%s=%d*off->panic", point, skip), bigOneIn, pointLimit)
	if !died {
		acked, died = s.armed(point+"=panic", 1, bigLimit)
	}
	if !died {
		s.t.Errorf("seed %d: failpoint %s was not reached in %v and %v of load", s.seed, point, pointLimit, bigLimit)
	}
	report := s.crash(loss)
	s.restart()
	if err := s.verify(); err != nil {
		s.t.Errorf("seed %d: after a panic at %s, loss %s: %v", s.seed, point, loss, err)
	}
	s.t.Logf("%d acknowledged, pass %d, loss %s took %+v", acked, skip, loss, report)
	s.node.Kill()
}

// armed starts the server with a failpoint and loads it for a while, one
// publish in big with a big content. The server is dead afterwards.
func (s *site) armed(failpoint string, big int, limit time.Duration) (acked int64, died bool) {
	s.t.Helper()
	for _, c := range s.clients {
		c.big = big
	}
	if err := s.node.Start(s.t.Context(), "GOFAIL_FAILPOINTS="+failpoint); err != nil {
		select {
		case <-s.node.Done():
			return 0, true // it died in the start
		default:
			s.t.Fatalf("seed %d: start with failpoint %s: %v", s.seed, failpoint, err)
		}
	}
	return s.load(func(_ int64, since time.Duration) bool { return since >= limit })
}
