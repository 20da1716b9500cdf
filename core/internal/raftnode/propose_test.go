package raftnode

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// entries is how many entries the log has got since an index.
func (m *member) entries(tb testing.TB, since uint64) uint64 {
	tb.Helper()
	last, err := m.log.LastIndex()
	if err != nil {
		tb.Fatal(err)
	}
	return last - since
}

// CTR-B07: when Propose returns the row can be read.
func TestPropose(t *testing.T) {
	m := start(t, t.TempDir())
	first := m.mustPut(t, "a", "1")
	m.want(t, "a", "1")
	if second := m.mustPut(t, "a", "2"); second != first+1 {
		t.Errorf("revision = %d, want %d", second, first+1)
	}
	refused := m.put("a", []byte("3"))
	refused.If = []kv.Compare{{Key: refused.Then[0].Key, Target: kv.Modified, Rel: kv.Equal}}
	if out, err := m.Propose(t.Context(), refused); err != nil || out.Result.Committed || len(out.Result.Failed) != 1 {
		t.Errorf("Propose(refused) = %+v, %v, want not committed", out, err)
	}
	m.want(t, "a", "2")
}

func TestProposeRefused(t *testing.T) {
	m := start(t, t.TempDir())
	large := m.put("k", make([]byte, kv.MaxValue))
	large.Then = append(large.Then, m.put("l", make([]byte, kv.MaxValue)).Then...)
	for name, tt := range map[string]struct {
		txn  *fsm.Txn
		want error
	}{
		"command too large": {large, kv.ErrTooLarge},
		"no key":            {&fsm.Txn{Then: []kv.Op{{Kind: kv.Put}}}, fsm.ErrInvalid},
	} {
		if out, err := m.Propose(t.Context(), tt.txn); !errors.Is(err, tt.want) {
			t.Errorf("Propose(%s) = %+v, %v, want %v", name, out, err, tt.want)
		}
	}
	clash := &fsm.Declare{Owner: "test", Tables: []kv.TableSpec{{Name: "t", Residency: kv.Cold}}}
	if err := m.Declare(t.Context(), clash); !errors.Is(err, fsm.ErrInvalid) {
		t.Errorf("Declare(other residency) = %v, want %v", err, fsm.ErrInvalid)
	}
}

// queued fills the queue of a member whose loops do not run.
func (m *member) queued(t *testing.T, n int, value []byte) *sync.WaitGroup {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if out, err := m.submit(within(t), &fsm.Command{Txn: m.put(fmt.Sprint(i), value)}); err != nil || out.Err != nil {
				t.Errorf("submit(%d) = %+v, %v", i, out, err)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return m.queue.len() == n })
	return &wg
}

// ENG-02: what waits together goes into one entry, up to its size; a command
// that is larger stands alone.
func TestBatching(t *testing.T) {
	for name, tt := range map[string]struct {
		proposals, size int
		want            uint64
	}{
		"small ones share an entry": {100, 100, 1},
		"two do not fit":            {3, 40 << 10, 3},
		"two fit":                   {4, 30 << 10, 2},
		"larger than an entry":      {3, 100 << 10, 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := idle(t)
			wg := m.queued(t, tt.proposals, make([]byte, tt.size))
			before, err := m.log.LastIndex()
			if err != nil {
				t.Fatal(err)
			}
			m.run()
			wg.Wait()
			if got := m.entries(t, before) - 1; got != tt.want { // one is the leader's own
				t.Errorf("%d proposals of %d bytes = %d entries, want %d", tt.proposals, tt.size, got, tt.want)
			}
		})
	}
}

func TestConcurrentProposals(t *testing.T) {
	m := start(t, t.TempDir())
	before := m.store.Root().Revision()
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := range 20 {
				m.mustPut(t, fmt.Sprintf("%d-%d", w, i), "v")
			}
		})
	}
	wg.Wait()
	if got := m.store.Root().Revision() - before; got != 32*20 {
		t.Errorf("revisions = %d, want %d", got, 32*20)
	}
	if len(m.waiters.by) != 0 {
		t.Errorf("waiters left = %d, want 0", len(m.waiters.by))
	}
}

// ENG-03: a full queue refuses at once and for certain.
func TestQueueFull(t *testing.T) {
	m := idle(t)
	for range queueLength {
		m.queue.put(&proposal{waiter: newWaiter()})
	}
	if _, err := m.Propose(t.Context(), m.put("k", nil)); !errors.Is(err, kv.ErrOverloaded) || errors.Is(err, kv.ErrUncertain) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrOverloaded)
	}
	if len(m.waiters.by) != 0 {
		t.Errorf("waiters left = %d, want 0", len(m.waiters.by))
	}
}

// ARC-S15: past half of the lag writers are delayed, past the whole refused.
func TestBackpressure(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		share float64
		ctx   context.Context
		want  error
	}{
		{0, gone, nil},
		{0.49, gone, nil},
		{0.51, t.Context(), nil},
		{0.99, gone, kv.ErrOverloaded},
		{1, t.Context(), kv.ErrOverloaded},
		{7, t.Context(), kv.ErrOverloaded},
	} {
		var p pressure
		p.share.Store(math.Float64bits(tt.share))
		if err := p.wait(tt.ctx); !errors.Is(err, tt.want) {
			t.Errorf("wait() at %v = %v, want %v", tt.share, err, tt.want)
		}
	}
	m := idle(t)
	m.pressure.share.Store(math.Float64bits(1))
	if _, err := m.Propose(t.Context(), m.put("k", nil)); !errors.Is(err, kv.ErrOverloaded) {
		t.Errorf("Propose() under pressure = %v, want %v", err, kv.ErrOverloaded)
	}
	m.run() // its housekeeping measures anew
	eventually(t, "the pressure falls", func() bool { return m.pressure.wait(gone) == nil })
}

// REL-04: with a full disk writes are refused.
func TestReadOnly(t *testing.T) {
	m := start(t, t.TempDir())
	m.readOnly.Store(true)
	if _, err := m.Propose(t.Context(), m.put("k", nil)); !errors.Is(err, kv.ErrReadOnly) || !m.Status().ReadOnly {
		t.Errorf("Propose() = %v, status %+v, want %v", err, m.Status(), kv.ErrReadOnly)
	}
}

// STY-34: who gives up does not know what became of the write.
func TestProposeGivesUp(t *testing.T) {
	m := idle(t)
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := m.Propose(ctx, m.put("k", nil))
		answered <- err
	}()
	eventually(t, "the proposal waits", func() bool { return m.queue.len() == 1 })
	cancel()
	if err := <-answered; !errors.Is(err, kv.ErrUncertain) || !errors.Is(err, context.Canceled) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrUncertain)
	}
	m.run()
	m.mustPut(t, "l", "1") // what is behind it is answered all the same
	if len(m.waiters.by) != 0 {
		t.Errorf("waiters left = %d, want 0", len(m.waiters.by))
	}
}

// The loop builds every entry in the same buffer.
func TestRaftCopiesProposals(t *testing.T) {
	m := idle(t)
	eventually(t, "it leads", func() bool {
		if err := m.drain(); err != nil {
			t.Fatal(err)
		}
		return m.leader.Load() == m.id
	})
	data := []byte("abc")
	if err := m.raft.Propose(data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	rd := m.raft.Ready()
	if n := len(rd.Entries); n != 1 || string(rd.Entries[0].GetData()) != "abc" {
		t.Errorf("Ready() = %d entries, want one of abc", n)
	}
}

func TestClose(t *testing.T) {
	m := idle(t)
	answered := make(chan error, 1)
	go func() {
		_, err := m.Propose(t.Context(), m.put("k", nil))
		answered <- err
	}()
	eventually(t, "the proposal waits", func() bool { return m.queue.len() == 1 })
	m.Close()
	if err := <-answered; !errors.Is(err, kv.ErrUncertain) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrUncertain)
	}
	if _, err := m.Propose(t.Context(), m.put("k", nil)); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Propose() after Close = %v, want %v", err, kv.ErrClosed)
	}
	if err := m.WaitReady(t.Context()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("WaitReady() after Close = %v, want %v", err, kv.ErrClosed)
	}
	m.Close()
}

// A failure answers everybody: who waits, who comes later, and who had been
// admitted but did not wait yet.
func TestFail(t *testing.T) {
	m := start(t, t.TempDir())
	cause := errors.New("disk on fire")
	m.Fail(cause)
	m.Fail(errors.New("another"))
	<-m.Done()
	if !errors.Is(m.Err(), cause) || m.Status().Ready {
		t.Errorf("Err() = %v, ready %v, want %v", m.Err(), m.Status().Ready, cause)
	}
	if _, err := m.Propose(t.Context(), m.put("k", nil)); !errors.Is(err, kv.ErrReadOnly) || !errors.Is(err, cause) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrReadOnly)
	}
	if _, err := m.submit(within(t), &fsm.Command{Txn: m.put("k", nil)}); !errors.Is(err, kv.ErrUncertain) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("submit() = %v, want %v at once", err, kv.ErrUncertain)
	}
	if _, err := m.Barrier(t.Context(), kv.Linearizable); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("Barrier() = %v, want %v", err, kv.ErrNoLeader)
	}
	if err := m.WaitReady(t.Context()); !errors.Is(err, cause) {
		t.Errorf("WaitReady() = %v, want %v", err, cause)
	}
}
