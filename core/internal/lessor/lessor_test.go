package lessor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node applies leases at once and tells the lessor, as a store does.
type node struct {
	*Lessor
	leads atomic.Bool
	took  atomic.Int64 // nanoseconds that a proposal takes

	mu      sync.Mutex // guards the rest
	revoked []kv.LeaseID
	refuse  error
	before  func() // runs once before the next proposal
}

func newNode(t *testing.T) (*node, kv.Leases) {
	t.Helper()
	n := &node{}
	n.leads.Store(true)
	n.Lessor = New(n.leads.Load, zap.NewNop())
	return n, n.For(n)
}

func (n *node) Propose(ctx context.Context, t *fsm.Txn) (fsm.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.before; f != nil {
		n.before = nil
		f()
	}
	if d := time.Duration(n.took.Load()); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return fsm.Outcome{}, ctx.Err()
		}
	}
	if n.refuse != nil {
		return fsm.Outcome{}, n.refuse
	}
	var changes []fsm.Change
	for _, o := range t.Then {
		rec := &kv.Record{Key: fsm.LeaseKey(o.Lease)[1:]}
		switch o.Kind {
		case kv.Grant:
			rec.Value = []byte{7: 0}
			for i, v := 7, uint64(o.TTL.Milliseconds()); v > 0; i, v = i-1, v>>8 {
				rec.Value[i] = byte(v)
			}
			changes = append(changes, fsm.Change{Table: fsm.LeaseTable, Event: kv.Event{Record: rec}})
		case kv.Revoke:
			n.revoked = append(n.revoked, o.Lease)
			changes = append(changes, fsm.Change{Table: fsm.LeaseTable, Event: kv.Event{Record: rec, Deleted: true}})
		default:
			return fsm.Outcome{}, errors.New("neither grant nor revoke")
		}
	}
	n.Applied(1, changes)
	return fsm.Outcome{}, nil
}

func (n *node) gone(id kv.LeaseID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.revoked, id)
}

func (n *node) with(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// run runs the lessor inside a bubble of synctest until the test ends.
func (n *node) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx, n)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func grant(t *testing.T, l kv.Leases, ttl time.Duration) kv.LeaseID {
	t.Helper()
	id, err := l.Grant(t.Context(), ttl)
	if err != nil || id == 0 || id > 1<<63-1 {
		t.Fatalf("Grant(%v) = %d, %v", ttl, id, err)
	}
	return id
}

func wantLeft(t *testing.T, l kv.Leases, id kv.LeaseID, want time.Duration) {
	t.Helper()
	left, err := l.KeepAlive(t.Context(), []kv.LeaseID{id})
	if err != nil || len(left) != 1 || left[0] != want {
		t.Errorf("KeepAlive() = %v, %v, want %v", left, err, want)
	}
}

// ARC-S09: a lease ends soon after its time, not before, and not at all while
// it is kept alive.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		left, kept := grant(t, l, 10*time.Second), grant(t, l, 10*time.Second)
		for range 3 {
			pass(3 * time.Second)
			if n.gone(left) {
				t.Fatal("the lease ended early")
			}
			wantLeft(t, l, kept, 10*time.Second)
		}
		pass(time.Second + scanEvery)
		if !n.gone(left) || n.gone(kept) {
			t.Errorf("gone = %v, %v, want the one that was left alone", n.gone(left), n.gone(kept))
		}
		wantLeft(t, l, left, 0)
		pass(10*time.Second + scanEvery)
		if !n.gone(kept) {
			t.Error("the other lease never ended")
		}
	})
}

// Who was told that a lease lives has it for its whole time: once its end is
// being committed nobody is told so.
func TestKeepAliveDuringRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		id := grant(t, l, time.Second)
		n.before = func() { wantLeft(t, l, id, 0) }
		n.run(t)
		pass(2 * time.Second)
		if n.before != nil || !n.gone(id) {
			t.Errorf("gone = %v, want the lease ended", n.gone(id))
		}
	})
}

// A revocation that failed is tried again, and the lease stays dead meanwhile.
func TestRevocationRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		id := grant(t, l, time.Second)
		n.with(func() { n.refuse = kv.ErrOverloaded })
		pass(5 * time.Second)
		if n.gone(id) {
			t.Fatal("the lease went although the node refused")
		}
		wantLeft(t, l, id, 0)
		n.with(func() { n.refuse = nil })
		pass(2 * scanEvery)
		if !n.gone(id) {
			t.Error("the revocation was not tried again")
		}
	})
}

// REL-09: who begins to lead does not know what was kept alive before.
func TestNewLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		id := grant(t, l, 3*time.Second)
		n.leads.Store(false)
		pass(10 * time.Second)
		if n.gone(id) {
			t.Fatal("a member that does not lead ended a lease")
		}
		if left, err := l.KeepAlive(t.Context(), []kv.LeaseID{id}); !errors.Is(err, kv.ErrNoLeader) {
			t.Errorf("KeepAlive() = %v, %v, want %v", left, err, kv.ErrNoLeader)
		}
		n.leads.Store(true)
		pass(3 * time.Second)
		if n.gone(id) {
			t.Error("the lease did not get its whole time from the new leader")
		}
		pass(2 * scanEvery)
		if !n.gone(id) {
			t.Error("the lease never ended")
		}
	})
}

// REL-09: after a pause nobody had a chance to keep anything alive.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		first, second := grant(t, l, time.Second), grant(t, l, 4*time.Second)
		n.took.Store(int64(10 * time.Second)) // the scan that ends the first one hangs
		pass(scanEvery)
		pass(10*time.Second + 2*scanEvery)
		n.took.Store(0)
		if !n.gone(first) || n.gone(second) {
			t.Errorf("gone = %v, %v, want the first only", n.gone(first), n.gone(second))
		}
		pass(4*time.Second + scanEvery)
		if !n.gone(second) {
			t.Error("the second lease never ended")
		}
	})
}

// Many that end together all go, a bounded number at a time.
func TestMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		const leases = 2*maxExpire + 1
		for range leases {
			grant(t, l, time.Second)
		}
		pass(time.Second + 3*scanEvery)
		if len(n.revoked) != leases || len(n.leases) != 0 {
			t.Errorf("revoked = %d, left %d, want all %d", len(n.revoked), len(n.leases), leases)
		}
	})
}

func TestGrantRevoke(t *testing.T) {
	n, l := newNode(t)
	for _, ttl := range []time.Duration{-1, 0, MaxTTL + 1} {
		if id, err := l.Grant(t.Context(), ttl); err == nil {
			t.Errorf("Grant(%v) = %d, want an error", ttl, id)
		}
	}
	one, two := grant(t, l, MaxTTL), grant(t, l, time.Minute)
	if err := l.Revoke(t.Context(), []kv.LeaseID{one, two, 12345}); err != nil {
		t.Errorf("Revoke() = %v", err)
	}
	if len(n.leases) != 0 || len(n.revoked) != 3 {
		t.Errorf("leases left = %d, revoked %v", len(n.leases), n.revoked)
	}
	n.refuse = kv.ErrReadOnly
	if _, err := l.Grant(t.Context(), time.Second); !errors.Is(err, kv.ErrReadOnly) {
		t.Errorf("Grant() = %v, want %v", err, kv.ErrReadOnly)
	}
	if err := l.Revoke(t.Context(), []kv.LeaseID{one}); !errors.Is(err, kv.ErrReadOnly) {
		t.Errorf("Revoke() = %v, want %v", err, kv.ErrReadOnly)
	}
}

// A lessor learns from a store what leases there are, with their whole time.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	grants := fsm.AppendHeader(nil)
	for id, ttl := range map[kv.LeaseID]time.Duration{1: time.Minute, 2: time.Hour} {
		grants = fsm.AppendCommand(grants, &fsm.Command{Txn: &fsm.Txn{Then: []kv.Op{{Kind: kv.Grant, Lease: id, TTL: ttl}}}})
	}
	s, err := store.Open(store.Options{Dir: dir, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Apply([]store.Committed{{Index: 1, Term: 1, Data: grants}}); err != nil {
		t.Fatal(err)
	}
	n, l := newNode(t)
	n.leases[9] = &lease{} // of the state before
	if err := s.Observe(n.Lessor); err != nil {
		t.Fatalf("Observe() = %v", err)
	}
	left, err := l.KeepAlive(t.Context(), []kv.LeaseID{1, 2, 9})
	if want := []time.Duration{time.Minute, time.Hour, 0}; err != nil || !slices.Equal(left, want) {
		t.Errorf("KeepAlive() = %v, %v, want %v", left, err, want)
	}
}

// What is left of a lease is told by who keeps its time, and nobody is told that
// it is over while the next scan may prolong it.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		want := func(id kv.LeaseID, left time.Duration, known bool) {
			t.Helper()
			if got, ok := n.Left(id); got != left || ok != known {
				t.Errorf("Left() = %v, %v, want %v, %v", got, ok, left, known)
			}
		}
		early := grant(t, l, 5*time.Second)
		pass(time.Second)
		want(early, 5*time.Second, true) // nothing has scanned yet
		n.run(t)
		pass(scanEvery)
		id := grant(t, l, 5*time.Second)
		want(id, 5*time.Second, true)
		want(id+1, 0, false)
		pass(3 * time.Second)
		want(id, 2*time.Second, true)
		wantLeft(t, l, id, 5*time.Second)
		want(id, 5*time.Second, true)
		n.with(func() { n.refuse = kv.ErrOverloaded })
		pass(6 * time.Second)
		want(id, -time.Second, true) // its end is not committed
		n.leads.Store(false)
		want(id, 0, false)
	})
}

func TestLeftAfterPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		n.run(t)
		pass(scanEvery)
		first, id := grant(t, l, time.Second), grant(t, l, 4*time.Second)
		n.took.Store(int64(10 * time.Second)) // the scan that ends the first one hangs
		pass(6 * time.Second)
		if left, ok := n.Left(id); left != 4*time.Second || !ok {
			t.Errorf("Left() = %v, %v, want its whole time", left, ok)
		}
		if left, ok := n.Left(first); left > 0 || !ok {
			t.Errorf("Left() of the one that is being ended = %v, %v, want nothing", left, ok)
		}
		pass(5*time.Second + scanEvery)
		if left, ok := n.Left(id); left <= 3*time.Second || !ok {
			t.Errorf("Left() = %v, %v, want it prolonged by the scan", left, ok)
		}
	})
}
