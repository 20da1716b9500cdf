package raftnode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// ARC-R11, ARC-R07, CTR-B07: a group of one grows to three; whoever proposes
// reads its own write at once, and the others read it after a round.
func TestGroup(t *testing.T) {
	g := newGroup(t, 2, 3)
	for id, m := range g.members {
		key := fmt.Sprint("k", id)
		m.mustPut(t, key, "v")
		m.want(t, key, "v")
		for _, other := range g.members {
			if got, err := other.Barrier(within(t), kv.Linearizable); err != nil || got != kv.Linearizable {
				t.Fatalf("Barrier() = %v, %v", got, err)
			}
			other.want(t, key, "v")
		}
	}
	if g.members[1].alone.Load() {
		t.Error("a member of three takes itself for alone")
	}
	if got := len(g.members[3].Members().GetVoters()); got != 3 {
		t.Errorf("voters = %d, want 3", got)
	}
}

// load writes counters through all members until it is stopped, and counts what
// was acknowledged.
type load struct {
	g     *group
	wg    sync.WaitGroup
	stop  context.CancelFunc
	acked atomic.Int64 // writes that are done
	maybe atomic.Int64 // writes whose outcome is unknown
	base  int64        // the counter before
	other atomic.Pointer[error]
}

// add is a write that is not idempotent: done twice, it shows.
func (m *member) add(key string) *fsm.Txn {
	return &fsm.Txn{Then: []kv.Op{{
		Kind: kv.Add, Key: fsm.AppendKey(nil, m.table, []byte(key)), Delta: 1, Min: 0, Max: 1 << 40,
	}}}
}

func (m *member) count(key string) int64 {
	r := m.store.Root().Get(fsm.AppendKey(nil, m.table, []byte(key)))
	if r == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(r.Value))
}

func startLoad(g *group, writers int, members ...*member) *load {
	l := &load{g: g, base: g.leader().count("n")}
	ctx, stop := context.WithCancel(g.tb.Context())
	l.stop = stop
	for i := range writers {
		m := members[i%len(members)]
		l.wg.Go(func() {
			for ctx.Err() == nil {
				l.write(m)
			}
		})
	}
	return l
}

func (l *load) write(m *member) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch out, err := m.Propose(ctx, m.add("n")); {
	case err == nil && out.Err == nil && out.Result.Committed:
		l.acked.Add(1)
	case errors.Is(err, kv.ErrUncertain):
		l.maybe.Add(1)
	case errors.Is(err, kv.ErrNoLeader) || errors.Is(err, kv.ErrOverloaded) || errors.Is(err, kv.ErrClosed):
	default:
		l.other.CompareAndSwap(nil, &err)
	}
}

// check ends the load and wants every acknowledged write to be there once.
func (l *load) check(t *testing.T, m *member) {
	t.Helper()
	l.stop()
	l.wg.Wait()
	if p := l.other.Load(); p != nil {
		t.Errorf("Propose() = %v", *p)
	}
	if _, err := m.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatalf("Barrier() = %v", err)
	}
	got, acked, maybe := m.count("n")-l.base, l.acked.Load(), l.maybe.Load()
	if got < acked || got > acked+maybe {
		t.Errorf("counter = %d, want %d to %d", got, acked, acked+maybe)
	}
	t.Logf("%d writes acknowledged, %d uncertain", acked, maybe)
}

// more waits until the load has got on.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.acked.Load()
	eventually(t, "the load gets on", func() bool { return l.acked.Load() >= from+n })
}

// REL-10: with leadership handed over no write fails and none is lost.
func TestTransfer(t *testing.T) {
	g := newSlowGroup(t, tickEvery, 2, 3) // the real one: nothing here waits for an election
	l := startLoad(g, 12, g.members[1], g.members[2], g.members[3])
	for range 4 {
		l.more(t, 50)
		from := g.leader()
		if err := from.Transfer(within(t), 0); err != nil {
			t.Errorf("Transfer() = %v", err)
		}
		if from.Status().Leads {
			t.Error("it still leads after Transfer")
		}
	}
	l.more(t, 50)
	l.check(t, g.leader())
	if n := l.maybe.Load(); n != 0 {
		t.Errorf("uncertain writes = %d, want 0", n)
	}
	if err := g.follower().Transfer(within(t), 0); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("Transfer() of a follower = %v, want %v", err, kv.ErrNoLeader)
	}
	if err := g.leader().Transfer(within(t), 99); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Transfer(99) = %v, want %v", err, kv.ErrNotFound)
	}
}

// REL-10: a leader is lost; what it acknowledged is not, and what the others
// have accepted goes on by itself.
func TestLeaderLost(t *testing.T) {
	g := newGroup(t, 2, 3)
	for range 3 {
		lost := g.leader()
		id := lost.id
		var others []*member
		for _, m := range g.members {
			if m != lost {
				others = append(others, m)
			}
		}
		l := startLoad(g, 8, others...)
		l.more(t, 20)
		g.stop(id)
		l.more(t, 20)
		l.check(t, g.leader())
		again := g.run(id, nil)
		if err := again.WaitReady(within(t)); err != nil {
			t.Fatalf("WaitReady() = %v", err)
		}
		if got, want := again.count("n"), l.base+l.acked.Load(); got < want {
			t.Errorf("counter after the restart = %d, want at least %d", got, want)
		}
	}
}

// REL-07: a leader that is cut off refuses writes and linearizable reads soon,
// and never answers from the past; the others go on.
func TestIsolatedLeader(t *testing.T) {
	g := newGroup(t, 2, 3)
	old := g.leader()
	old.mustPut(t, "k", "1")
	g.isolate(old.id)
	begin := time.Now()
	limit := 30 * testTick // three seconds of the real clock's ticks
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := old.Propose(within(t), old.put("k", []byte("lost")))
		if !errors.Is(err, kv.ErrUncertain) && !errors.Is(err, kv.ErrNoLeader) {
			t.Errorf("Propose() on the isolated leader = %v", err)
		}
		if d := time.Since(begin); d > 2*limit {
			t.Errorf("Propose() took %v, want %v", d, limit)
		}
	})
	wg.Go(func() {
		if _, err := old.Barrier(within(t), kv.Linearizable); !errors.Is(err, kv.ErrNoLeader) {
			t.Errorf("Barrier(Linearizable) on the isolated leader = %v", err)
		}
	})
	lead := g.leader(old.id)
	lead.mustPut(t, "k", "2")
	if got, err := old.Barrier(within(t), kv.Fresh); got != kv.Local || err != nil {
		t.Errorf("Barrier(Fresh) on the isolated leader = %v, %v, want %v", got, err, kv.Local)
	}
	wg.Wait()
	if old.Status().Ready {
		t.Error("the isolated member is ready")
	}
	if _, err := old.Propose(within(t), old.put("k", []byte("3"))); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("Propose() without a leader = %v, want %v", err, kv.ErrNoLeader)
	}
	g.heal()
	if _, err := old.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatalf("Barrier() after the heal = %v", err)
	}
	old.want(t, "k", "2")
	lead.want(t, "k", "2")
}

// ADR 8: a Fresh read waits until a leader answers again, for longer than one of a
// member that is cut off, and is not answered from the past.
func TestFreshWaits(t *testing.T) {
	g := newGroup(t, 2, 3)
	m, lead := g.follower(), g.leader()
	lead.mustPut(t, "k", "1")
	g.isolate(m.id)
	lead.mustPut(t, "k", "2")
	type answer struct {
		got kv.Consistency
		err error
	}
	answers := make(chan answer, 1)
	begin := time.Now()
	go func() {
		got, err := m.Barrier(within(t), kv.Fresh)
		answers <- answer{got, err}
	}()
	eventually(t, "a read of who is cut off would have ended", func() bool { return time.Since(begin) > 2*freshWait })
	g.heal()
	if a := <-answers; a.got != kv.Fresh || a.err != nil {
		t.Errorf("Barrier(Fresh) = %v, %v, want %v", a.got, a.err, kv.Fresh)
	}
	m.want(t, "k", "2")

	g.isolate(m.id)
	eventually(t, "the member is cut off", m.lost.Load)
	if got := m.freshLimit(); got != freshWait {
		t.Errorf("freshLimit() = %v, want %v", got, freshWait)
	}
	if got, err := m.Barrier(within(t), kv.Fresh); got != kv.Local || err != nil {
		t.Errorf("Barrier(Fresh) of who is cut off = %v, %v, want %v", got, err, kv.Local)
	}
	g.heal()
	eventually(t, "the member is back", func() bool { return !m.lost.Load() })
}

// REL-07: a follower that hears its leader but is not heard does not know
// whether its write was taken, and says so.
func TestOneWay(t *testing.T) {
	g := newGroup(t, 2, 3)
	m, lead := g.follower(), g.leader()
	g.mu.Lock()
	g.mute[link{lead.id, m.id}] = true
	g.mu.Unlock()
	m.mustPut(t, "k", "answered by what is applied") // the answer of the call is not needed
	m.want(t, "k", "answered by what is applied")
	g.heal()
	g.cut(m.id, lead.id)
	if _, err := m.Propose(within(t), m.put("k", []byte("x"))); !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, kv.ErrUncertain) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrNoLeader)
	}
	if _, err := m.Barrier(within(t), kv.Linearizable); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("Barrier() = %v, want %v", err, kv.ErrNoLeader)
	}
	g.heal()
	m.mustPut(t, "k", "y")
}

// ARC-R07: a batch that comes again and again, because no answer gets through, is
// taken once.
func TestForwardOnce(t *testing.T) {
	g := newGroup(t, 2, 3)
	m, lead := g.follower(), g.leader()
	g.mu.Lock()
	g.cuts[link{lead.id, m.id}], g.mute[link{lead.id, m.id}] = true, true
	g.calls = 0
	g.mu.Unlock()
	answered := make(chan error, 1)
	go func() {
		out, err := m.Propose(t.Context(), m.add("n"))
		if err == nil && !out.Result.Committed {
			err = errors.New("refused")
		}
		answered <- err
	}()
	eventually(t, "the batch has come again", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.calls > 3
	})
	g.heal()
	if err := <-answered; err != nil {
		t.Errorf("Propose() = %v", err)
	}
	if _, err := m.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatal(err)
	}
	if got := m.count("n"); got != 1 {
		t.Errorf("counter = %d, want 1", got)
	}
}

// A leader takes batches of its own term only, and large ones whole.
func TestAccept(t *testing.T) {
	g := newSlowGroup(t, tickEvery, 2) // nothing here waits for an election, and one would lose batches
	lead, m := g.leader(), g.follower()
	b := &Batch{Term: lead.term.Load(), Origin: 5, Seq: 1, Low: 1}
	for i := range 3 {
		c := &fsm.Command{ID: uint64(i + 1), Txn: m.add("n")}
		b.Commands = append(b.Commands, fsm.AppendCommand(nil, c))
	}
	for range 2 {
		if v, err := lead.Accept(within(t), b); err != nil || v != (Verdict{Taken: 3}) {
			t.Errorf("Accept() = %+v, %v, want 3 taken", v, err)
		}
	}
	for name, b := range map[string]*Batch{
		"earlier term": {Term: b.Term - 1, Origin: 5, Seq: 2, Commands: b.Commands},
		"later term":   {Term: b.Term + 1, Origin: 5, Seq: 2, Commands: b.Commands},
	} {
		if v, err := lead.Accept(within(t), b); err != nil || v.Reason != NotLeader {
			t.Errorf("Accept(%s) = %+v, %v, want NotLeader", name, v, err)
		}
	}
	if v, err := m.Accept(within(t), b); err != nil || v.Reason != NotLeader {
		t.Errorf("Accept() of a follower = %+v, %v, want NotLeader", v, err)
	}
	old := &Batch{Term: b.Term, Origin: 5, Seq: 1, Low: 9, Commands: b.Commands}
	if v, err := lead.Accept(within(t), old); err != nil || v.Taken != 0 {
		t.Errorf("Accept() of a batch that is over = %+v, %v, want none taken", v, err)
	}
	if _, err := lead.Accept(within(t), &Batch{Term: b.Term, Commands: [][]byte{nil}}); err == nil {
		t.Error("Accept() of an empty command = nil error")
	}
	lead.readOnly.Store(true)
	if v, err := lead.Accept(within(t), b); err != nil || v.Reason != ReadOnly {
		t.Errorf("Accept() on a full disk = %+v, %v, want ReadOnly", v, err)
	}
	if _, err := m.Propose(within(t), m.add("n")); !errors.Is(err, kv.ErrReadOnly) {
		t.Errorf("Propose() with the leader's disk full = %v, want %v", err, kv.ErrReadOnly)
	}
	lead.readOnly.Store(false)
	if _, err := m.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatal(err)
	}
	if got := m.count("n"); got != 3 {
		t.Errorf("counter = %d, want 3", got)
	}
}

// ARC-R08: a leader that has heard a quorum of late answers at once; not for
// longer than half an election timeout by either clock, and not while somebody
// is told to take over.
func TestLease(t *testing.T) {
	g := newGroup(t, 2, 3)
	m := g.leader()
	asked := func() uint64 {
		var id uint64
		if err := m.run2(t.Context(), func() error { id = m.rounds.id; return nil }); err != nil {
			t.Fatal(err)
		}
		return id
	}
	m.lease.Store(nil)
	before := asked()
	if got, err := m.Barrier(within(t), kv.Linearizable); got != kv.Linearizable || err != nil {
		t.Fatalf("Barrier() = %v, %v", got, err)
	}
	if got := asked(); got != before+1 || m.lease.Load() == nil {
		t.Fatalf("rounds = %d, lease %v", got-before, m.lease.Load())
	}
	now := time.Now()
	m.lease.Store(&now)
	if got, err := m.Barrier(within(t), kv.Fresh); got != kv.Fresh || err != nil || asked() != before+1 {
		t.Errorf("Barrier(Fresh) = %v, %v after %d rounds, want an answer without a round", got, err, asked()-before)
	}
	half := electionTicks / 2 * testTick
	for name, at := range map[string]time.Time{
		"old": now.Add(-half),
		// A time without its monotonic part is compared by the wall clock.
		"the machine slept":    time.Now().Round(0).Add(-half),
		"the clock was set on": time.Now().Round(0).Add(half),
	} {
		m.lease.Store(&at)
		if m.leased() {
			t.Errorf("leased() = true: %s", name)
		}
	}
	m.lease.Store(&now)
	if err := m.Transfer(within(t), 0); err != nil {
		t.Fatal(err)
	}
	if m.lease.Load() != nil {
		t.Error("the lease outlives the transfer")
	}
}
