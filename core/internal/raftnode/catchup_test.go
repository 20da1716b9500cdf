package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// compact makes the log of a member begin behind its state.
func (m *member) compact(tb testing.TB) {
	tb.Helper()
	if err := m.store.Flush(within(tb)); err != nil {
		tb.Fatal(err)
	}
	err := m.run2(tb.Context(), func() error { return m.log.Compact(m.store.Persisted()) })
	if err != nil {
		tb.Fatalf("Compact() = %v", err)
	}
}

func (m *member) wantAll(tb testing.TB, n int, value string) {
	tb.Helper()
	if _, err := m.Barrier(within(tb), kv.Linearizable); err != nil {
		tb.Fatalf("Barrier() = %v", err)
	}
	for i := range n {
		m.want(tb, fmt.Sprint(i), value)
	}
}

// REL-11: a follower that needs what the log no longer holds gets a snapshot,
// and again while it is still behind.
func TestBehindCompaction(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead := g.leader()
	late := g.follower()
	id := late.id
	for round := range 3 {
		value := fmt.Sprint("round", round)
		before := g.snapshots()
		g.stop(id)
		for i := range 20 {
			lead.mustPut(t, fmt.Sprint(i), value)
		}
		for _, m := range g.members {
			m.compact(t)
		}
		late = g.run(id, nil)
		late.wantAll(t, 20, value)
		if g.snapshots() == before {
			t.Error("no snapshot was sent")
		}
		lead.mustPut(t, "more", value)
		late.wantAll(t, 20, value)
		late.mustPut(t, "own", value) // it proposes as before
	}
}

// REL-11: a snapshot that breaks off, wherever, leaves the member as it was and
// comes again, while others write on; what broke off leaves no file.
func TestSnapshotTorn(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead, late := g.leader(), g.follower()
	id := late.id
	lead.mustPut(t, "0", "before")
	if _, err := late.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatal(err)
	}
	g.stop(id)
	large := strings.Repeat("x", 1<<20)
	for i := range 8 {
		lead.mustPut(t, fmt.Sprint("large", i), large)
	}
	for _, m := range g.members {
		m.compact(t)
	}
	g.mu.Lock()
	g.tear = []int64{0, 1, 100, 3 << 20, 7 << 20}
	g.mu.Unlock()
	l := startLoad(g, 2, lead)
	late = g.run(id, nil)
	late.want(t, "0", "before") // until it has all of the next one
	eventually(t, "every attempt is made", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.tear) == 0
	})
	eventually(t, "it has caught up", func() bool { return late.count("n") > 0 })
	l.more(t, 20)
	l.check(t, late)
	for i := range 8 {
		late.want(t, fmt.Sprint("large", i), large)
	}
	if files, _ := filepath.Glob(filepath.Join(g.dirs[id], "state.db.*")); len(files) > 0 {
		t.Errorf("files left: %v", files)
	}
}

func (w *network) snapshots() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// A write that is under way at a member that gets a snapshot has an unknown
// outcome.
func TestSnapshotOvertakes(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead, m := g.leader(), g.follower()
	g.mu.Lock()
	// Its messages arrive, and nothing comes back.
	g.cuts[link{lead.id, m.id}] = true
	for id := range g.nodes {
		if id != lead.id && id != m.id {
			g.cuts[link{m.id, id}], g.cuts[link{id, m.id}] = true, true
		}
	}
	g.mu.Unlock()
	answered := make(chan error, 1)
	go func() {
		_, err := m.Propose(t.Context(), m.put("k", []byte("v")))
		answered <- err
	}()
	eventually(t, "the leader has it", func() bool { return lead.store.Root().Revision() > m.store.Root().Revision() })
	lead.compact(t)
	g.heal()
	err := <-answered // by the snapshot, or because no leader was heard for too long
	if !errors.Is(err, kv.ErrUncertain) {
		t.Errorf("Propose() = %v, want %v", err, kv.ErrUncertain)
	}
	if _, err := m.Barrier(within(t), kv.Linearizable); err != nil {
		t.Fatal(err)
	}
	m.want(t, "k", "v")
}

// REL-11: the power fails between the two steps of taking a snapshot; the next
// start ends what was begun.
func TestStagedAtStart(t *testing.T) {
	from := start(t, t.TempDir())
	from.mustPut(t, "k", "v")
	snap, err := from.OpenSnapshot(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := snap.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	_ = snap.Close()
	meta := snap.Meta()

	open := func(dir string) (*store.Store, *raftlog.Log) {
		t.Helper()
		s, err := store.Open(store.Options{Dir: dir, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		l, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = s.Close(), l.Close() })
		return s, l
	}
	receive := func(s *store.Store) {
		t.Helper()
		if _, err := s.Receive(t.Context(), bytes.NewReader(data.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("received only", func(t *testing.T) {
		s, l := open(t.TempDir())
		receive(s)
		if _, err := recovered(Options{ID: 9, Log: l, Store: s}); err != nil {
			t.Fatalf("recovered() = %v", err)
		}
		if got, _ := s.Applied(); got != 0 {
			t.Errorf("Applied() = %d, want 0: raft has not taken the snapshot", got)
		}
	})
	t.Run("log begins behind it", func(t *testing.T) {
		s, l := open(t.TempDir())
		receive(s)
		if err := l.Reset(meta.Index, meta.Term); err != nil {
			t.Fatal(err)
		}
		if _, err := recovered(Options{ID: 9, Log: l, Store: s}); err != nil {
			t.Fatalf("recovered() = %v", err)
		}
		if got, _ := s.Applied(); got != meta.Index || s.Root().Revision() != meta.Revision {
			t.Errorf("Applied() = %d at revision %d, want %d at %d", got, s.Root().Revision(), meta.Index, meta.Revision)
		}
	})
	t.Run("file is gone", func(t *testing.T) {
		s, l := open(t.TempDir())
		if err := l.Reset(meta.Index, meta.Term); err != nil {
			t.Fatal(err)
		}
		if _, err := recovered(Options{ID: 9, Log: l, Store: s}); !errors.Is(err, ErrMismatch) {
			t.Errorf("recovered() = %v, want %v", err, ErrMismatch)
		}
	})
}

// A snapshot is taken only if it is what was announced, newer than the state,
// and the only one.
func TestReceiveSnapshot(t *testing.T) {
	g := newGroup(t, 2)
	lead, m := g.leader(), g.follower()
	lead.mustPut(t, "k", "v")
	snap, err := lead.OpenSnapshot(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := snap.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	_ = snap.Close()
	announce := func(change func(*store.SnapshotMeta)) *raftpb.Message {
		meta := snap.Meta()
		change(&meta)
		to, term := m.id, lead.term.Load()
		return SnapshotMessage(&raftpb.Message{Type: raftpb.MsgSnap.Enum(), From: &lead.id, To: &to, Term: &term}, meta)
	}
	later := func(s *store.SnapshotMeta) { s.Index += 100 }
	if err := m.ReceiveSnapshot(within(t), announce(later), bytes.NewReader(data.Bytes())); err == nil || !strings.Contains(err.Error(), "announced") {
		t.Errorf("ReceiveSnapshot(other index) = %v, want an error", err)
	}
	if err := m.ReceiveSnapshot(within(t), announce(later), bytes.NewReader(data.Bytes()[:data.Len()/2])); err == nil {
		t.Error("ReceiveSnapshot(half) = nil error")
	}
	old := func(s *store.SnapshotMeta) { s.Index = 1 }
	if err := m.ReceiveSnapshot(within(t), announce(old), bytes.NewReader(data.Bytes())); !errors.Is(err, store.ErrOldSnapshot) {
		t.Errorf("ReceiveSnapshot(old) = %v, want %v", err, store.ErrOldSnapshot)
	}
	m.installs.Store(true)
	if err := m.ReceiveSnapshot(within(t), announce(later), bytes.NewReader(data.Bytes())); !errors.Is(err, ErrBusy) {
		t.Errorf("ReceiveSnapshot() beside another = %v, want %v", err, ErrBusy)
	}
	m.installs.Store(false)
	m.mustPut(t, "k", "w")
	if files, _ := filepath.Glob(filepath.Join(g.dirs[m.id], "state.db.*")); len(files) > 0 {
		t.Errorf("files left: %v", files)
	}
}

// Raft may have the entries by the time their snapshot arrives; then the file
// goes, and nothing else happens.
func TestSnapshotNotNeeded(t *testing.T) {
	g := newGroup(t, 2)
	lead, m := g.leader(), g.follower()
	lead.mustPut(t, "k", "v")
	eventually(t, "the follower has all", func() bool { return m.store.Root().Revision() == lead.store.Root().Revision() })
	rec, err := m.store.Receive(within(t), bytes.NewReader(m.snapshotBytes(t)))
	if err != nil {
		t.Fatal(err)
	}
	m.installs.Store(true)
	done := make(chan struct{})
	to, term := m.id, lead.term.Load()
	msg := SnapshotMessage(&raftpb.Message{Type: raftpb.MsgSnap.Enum(), From: &lead.id, To: &to, Term: &term}, rec.Meta())
	if err := m.hand(within(t), m.inbox, inbound{m: msg, received: rec, done: done}); err != nil {
		t.Fatal(err)
	}
	<-done
	if m.installs.Load() {
		t.Error("it still counts as being installed")
	}
	if files, _ := filepath.Glob(filepath.Join(g.dirs[m.id], "state.db.*")); len(files) > 0 {
		t.Errorf("files left: %v", files)
	}
	m.mustPut(t, "k", "w")
}

func (m *member) snapshotBytes(tb testing.TB) []byte {
	tb.Helper()
	snap, err := m.OpenSnapshot(within(tb))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	var data bytes.Buffer
	if _, err := snap.WriteTo(&data); err != nil {
		tb.Fatal(err)
	}
	return data.Bytes()
}

// FLT-03: somebody puts an older state in the place of a member's. It says so
// and ends, instead of losing what it has acknowledged.
func TestOlderData(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead, m := g.leader(), g.follower()
	id := m.id
	g.stop(id)
	older := copyDir(t, g.dirs[id])
	m = g.run(id, nil)
	for i := range 10 {
		lead.mustPut(t, fmt.Sprint(i), "v")
	}
	m.wantAll(t, 10, "v")
	g.stop(id)
	if err := os.RemoveAll(g.dirs[id]); err != nil {
		t.Fatal(err)
	}
	g.dirs[id] = older
	m = g.run(id, nil)
	select {
	case <-m.Done():
	case <-within(t).Done():
		t.Fatal("the member goes on")
	}
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "older than it was") {
		t.Errorf("Err() = %v, want a clear one", err)
	}
	lead.mustPut(t, "others go on", "v")
}

// REL-12: a member is replaced in one step, the leader included; an id that is
// out stays out.
func TestReplace(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead, gone := g.leader(), g.follower()
	id := gone.id
	l := startLoad(g, 4, lead)
	g.stop(id)
	l.more(t, 20)
	next := g.run(7, nil)
	g.change(lead, Change{AddLearner, 7})
	eventually(t, "the learner has caught up", func() bool {
		at, _ := next.store.Applied()
		return at > 20
	})
	g.change(lead, Change{AddVoter, 7}, Change{Remove, id})
	eventually(t, "the joint configuration is left", func() bool { return len(lead.Members().GetVotersOutgoing()) == 0 })
	l.more(t, 20)
	l.check(t, lead)
	if err := next.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := next.count("n"); got < l.acked.Load() {
		t.Errorf("counter of the new member = %d, want %d", got, l.acked.Load())
	}
	if err := next.ChangeMembers(within(t), Change{Remove, lead.id}); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("ChangeMembers() of a follower = %v, want %v", err, kv.ErrNoLeader)
	}
	g.change(lead, Change{Remove, lead.id}) // it steps down
	other := g.leader(lead.id)
	other.mustPut(t, "k", "v")
	if got := len(other.Members().GetVoters()); got != 2 {
		t.Errorf("voters = %d, want 2", got)
	}
}

// ARC-R11: three members shrink to one, which then needs nobody.
func TestShrink(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead := g.leader()
	for id := range g.members {
		if id != lead.id {
			g.change(lead, Change{Remove, id})
			g.stop(id)
		}
	}
	lead.mustPut(t, "k", "v")
	if !lead.alone.Load() {
		t.Error("it does not know that it is alone")
	}
	id := lead.id
	g.stop(id)
	again := g.run(id, nil)
	if err := again.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	again.want(t, "k", "v")
}

// The leader keeps what a follower lacks, for as long as it hears of it.
func TestCutWaits(t *testing.T) {
	g := newGroup(t, 2, 3)
	lead, late := g.leader(), g.follower()
	last := func() uint64 {
		t.Helper()
		i, err := lead.log.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	at := last()
	eventually(t, "all have all", func() bool { return lead.lackedNow(t) >= at })
	g.cut(lead.id, late.id)
	lead.mustPut(t, "k", "v")
	if got := lead.lackedNow(t); got > at {
		t.Errorf("lacked() = %d, want at most %d: one follower has no more", got, at)
	}
	eventually(t, "the leader waits no more", func() bool { return lead.lackedNow(t) >= last() })
}

func (m *member) lackedNow(t *testing.T) (index uint64) {
	t.Helper()
	if err := m.run2(within(t), func() error { index = m.lacked(); return nil }); err != nil {
		t.Fatal(err)
	}
	return index
}
