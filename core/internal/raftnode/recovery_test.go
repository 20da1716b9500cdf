package raftnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// ARC-R11: what was acknowledged is there after a stop and after a crash, and a
// row is applied once.
func TestRecovery(t *testing.T) {
	dir := t.TempDir()
	m := start(t, dir)
	const rows = 100
	for i := range rows {
		m.mustPut(t, fmt.Sprint(i), fmt.Sprint("v", i))
	}
	rev, table := m.store.Root().Revision(), m.table
	crashed := copyDir(t, dir) // state.db knows nothing of the rows, the log all
	m.close(t)

	for name, dir := range map[string]string{"stopped": dir, "crashed": crashed} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				m := start(t, dir)
				if m.table != table || m.store.Root().Revision() != rev {
					t.Errorf("table %d at revision %d, want %d at %d", m.table, m.store.Root().Revision(), table, rev)
				}
				for i := range rows {
					m.want(t, fmt.Sprint(i), fmt.Sprint("v", i))
				}
				m.close(t)
			}
			m := start(t, dir)
			if got := m.mustPut(t, "next", ""); got != rev+1 {
				t.Errorf("revision = %d, want %d", got, rev+1)
			}
		})
	}
}

// A crash may come between the two steps of forming a group.
func TestFreshStartRepeated(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyConf(1, 1, &raftpb.ConfState{Voters: []uint64{self}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	m := start(t, dir)
	m.mustPut(t, "a", "1")
	if err := FreshStart(t.Context(), self, m.log, m.store); err != nil {
		t.Errorf("FreshStart() of a group with data = %v", err)
	}
	m.want(t, "a", "1")
}

// A log that lacks what the state holds is of another time: starting would lose
// or change acknowledged writes.
func TestForeignLog(t *testing.T) {
	dir := t.TempDir()
	m := start(t, dir)
	m.mustPut(t, "a", "1")
	m.close(t)
	if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: dir, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	l, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := Start(Options{ID: self, Log: l, Store: s}); !errors.Is(err, ErrMismatch) {
		t.Errorf("Start() = %v, want %v", err, ErrMismatch)
	}
}

// ENG-13: what is in state.db leaves the log, but for a few entries, and the
// rest is enough to start from.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	m := start(t, dir)
	first := func() uint64 {
		t.Helper()
		i, err := m.log.FirstIndex()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	// One writer alone makes an entry of each.
	for range keepEntries + cutEvery + 2 {
		m.mustPut(t, "k", "v")
	}
	if first() != 2 {
		t.Errorf("FirstIndex() = %d before state.db holds anything, want 2", first())
	}
	if err := m.store.Flush(within(t)); err != nil {
		t.Fatalf("Flush() = %v", err)
	}
	persisted := m.store.Persisted()
	eventually(t, "the log is cut", func() bool { return first() > 2 })
	if got := first(); got != persisted-keepEntries+1 {
		t.Errorf("FirstIndex() = %d, want %d", got, persisted-keepEntries+1)
	}
	m.mustPut(t, "last", "v")
	rev := m.store.Root().Revision()
	m.close(t)

	again := start(t, dir)
	again.want(t, "last", "v")
	if got := again.store.Root().Revision(); got != rev {
		t.Errorf("revision = %d, want %d", got, rev)
	}
}

// A node alone cuts at half the size: nobody else needs what its state.db holds.
func TestCompactionAlone(t *testing.T) {
	m := open(t, t.TempDir())
	m.cutBytes = 2 * m.log.Size()
	m.lead(t)
	m.mustPut(t, "k", "v")
	if err := m.store.Flush(within(t)); err != nil {
		t.Fatalf("Flush() = %v", err)
	}
	persisted := m.store.Persisted()
	eventually(t, "the log is cut", func() bool {
		first, err := m.log.FirstIndex()
		return err == nil && first > persisted
	})
}

// ARC-R08.
func TestBarrier(t *testing.T) {
	m := start(t, t.TempDir())
	for _, c := range []kv.Consistency{kv.Local, kv.Fresh, kv.Linearizable} {
		if got, err := m.Barrier(within(t), c); got != c || err != nil {
			t.Errorf("Barrier(%d) = %d, %v, want %d", c, got, err, c)
		}
	}
	if got, err := m.Barrier(t.Context(), 9); err == nil {
		t.Errorf("Barrier(9) = %d, want an error", got)
	}
	m.Close()
	if got, err := m.Barrier(t.Context(), kv.Linearizable); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Barrier() after Close = %d, %v, want %v", got, err, kv.ErrClosed)
	}
}

// Reads that come together share one round.
func TestBarriersShare(t *testing.T) {
	m := idle(t)
	const readers = 50
	errs := make(chan error, readers)
	for range readers {
		go func() {
			_, err := m.Barrier(t.Context(), kv.Linearizable)
			errs <- err
		}()
	}
	eventually(t, "all wait", func() bool { return len(m.reads) == readers })
	before := m.rounds.id
	m.run()
	for range readers {
		if err := <-errs; err != nil {
			t.Errorf("Barrier() = %v", err)
		}
	}
	m.Close()
	if asked := m.rounds.id - before; asked != 1 || len(m.rounds.open) != 0 {
		t.Errorf("rounds = %d, %d open, want 1 for all", asked, len(m.rounds.open))
	}
}

// Without a leader Fresh falls back to Local, Linearizable fails.
func TestBarrierWithoutLeader(t *testing.T) {
	m := idle(t)
	if got, err := m.Barrier(within(t), kv.Fresh); got != kv.Local || err != nil {
		t.Errorf("Barrier(Fresh) = %d, %v, want %d", got, err, kv.Local)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Barrier(ctx, kv.Linearizable); !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, context.Canceled) {
		t.Errorf("Barrier(Linearizable) = %v, want %v", err, kv.ErrNoLeader)
	}
	if err := m.WaitReady(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitReady() = %v, want %v", err, context.Canceled)
	}
}
