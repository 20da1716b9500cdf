package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSegment = 4 << 10

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, Options{SegmentSize: testSegment, CacheBytes: 1 << 10})
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func entries(from uint64, n int, term uint64, size int) []*raftpb.Entry {
	out := make([]*raftpb.Entry, n)
	for i := range out {
		index := from + uint64(i)
		data := bytes.Repeat([]byte{byte(index), byte(term)}, size/2+1)
		out[i] = &raftpb.Entry{Index: &index, Term: new(term), Type: raftpb.EntryType_EntryNormal.Enum(), Data: data}
	}
	return out
}

func hard(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

func mustSave(t *testing.T, l *Log, hs *raftpb.HardState, es []*raftpb.Entry) {
	t.Helper()
	if err := l.Save(hs, es); err != nil {
		t.Fatalf("Save() = %v", err)
	}
}

// same compares everything a log answers with a model.
func same(t *testing.T, l *Log, model *raft.MemoryStorage) {
	t.Helper()
	first, _ := model.FirstIndex()
	last, _ := model.LastIndex()
	gotFirst, _ := l.FirstIndex()
	gotLast, _ := l.LastIndex()
	if gotFirst != first || gotLast != last {
		t.Fatalf("log holds %d to %d, want %d to %d", gotFirst, gotLast, first, last)
	}
	for i := first - 1; i <= last; i++ {
		want, _ := model.Term(i)
		if got, err := l.Term(i); err != nil || got != want {
			t.Fatalf("Term(%d) = %d, %v, want %d", i, got, err, want)
		}
	}
	if first <= last {
		want, _ := model.Entries(first, last+1, math.MaxUint64)
		got, err := l.Entries(first, last+1, math.MaxUint64)
		if err != nil || !slices.EqualFunc(got, want, func(a, b *raftpb.Entry) bool { return proto.Equal(a, b) }) {
			t.Fatalf("Entries(%d, %d) = %d entries, %v, want those of the model", first, last+1, len(got), err)
		}
	}
	if _, err := l.Entries(first-1, first, 1); !errors.Is(err, raft.ErrCompacted) {
		t.Fatalf("Entries(%d) = %v, want ErrCompacted", first-1, err)
	}
	if _, err := l.Entries(last+1, last+2, 1); !errors.Is(err, raft.ErrUnavailable) {
		t.Fatalf("Entries(%d) = %v, want ErrUnavailable", last+1, err)
	}
	hs, _, _ := model.InitialState()
	if got := l.HardState(); !proto.Equal(got, hs) && !raft.IsEmptyHardState(hs) {
		t.Fatalf("HardState() = %v, want %v", got, hs)
	}
}

// Random appends, truncations, compactions, resets and reopenings leave the log
// equal to the memory storage of raft.
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir, model := t.TempDir(), raft.NewMemoryStorage()
			l := open(t, dir)
			term := uint64(1)
			for range 300 {
				l = step(t, rnd, dir, l, model, &term)
			}
			same(t, l, model)
			l = reopen(t, dir, l)
			same(t, l, model)
		})
	}
}

func reopen(t *testing.T, dir string, l *Log) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	return open(t, dir)
}

func step(t *testing.T, rnd *rand.Rand, dir string, l *Log, model *raft.MemoryStorage, term *uint64) *Log {
	t.Helper()
	first, _ := model.FirstIndex()
	last, _ := model.LastIndex()
	switch rnd.IntN(10) {
	case 0: // a new leader replaces the end
		*term++
		from := last + 1 - uint64(rnd.IntN(int(min(last+1-first, 5))+1))
		es := entries(from, 1+rnd.IntN(4), *term, rnd.IntN(300))
		hs := hard(*term, 1, first-1)
		mustSave(t, l, hs, es)
		_ = model.SetHardState(hs)
		_ = model.Append(es)
	case 1:
		if first <= last && rnd.IntN(3) == 0 {
			i := first + uint64(rnd.IntN(int(last-first)+1))
			if err := l.Compact(i); err != nil {
				t.Fatalf("Compact(%d) = %v", i, err)
			}
			_ = model.Compact(i)
		}
	case 2:
		same(t, l, model)
		l = reopen(t, dir, l)
	case 3:
		hs := hard(*term, 1, last)
		mustSave(t, l, hs, nil)
		_ = model.SetHardState(hs)
	case 4:
		if rnd.IntN(5) == 0 {
			reset(t, l, model, last+uint64(rnd.IntN(10)), *term)
		}
	default:
		es := entries(last+1, 1+rnd.IntN(8), *term, rnd.IntN(600))
		mustSave(t, l, nil, es)
		_ = model.Append(es)
	}
	return l
}

func reset(t *testing.T, l *Log, model *raft.MemoryStorage, index, term uint64) {
	t.Helper()
	if err := l.Reset(index, term); err != nil {
		t.Fatalf("Reset(%d) = %v", index, err)
	}
	snap := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &term, ConfState: &raftpb.ConfState{}}}
	if err := model.ApplySnapshot(snap); err != nil && !errors.Is(err, raft.ErrSnapOutOfDate) {
		t.Fatal(err)
	} else if err != nil {
		// The memory storage refuses a snapshot at its own index; the log resets.
		_ = model.Compact(index)
	}
}

// An entry may be larger than a segment.
// A process that is killed leaves what only the operating system has. The next one
// relies on it, towards other members as well, so it must be on the disk before
// Open returns.
func TestOpenSyncs(t *testing.T) {
	dir := t.TempDir()
	syncs := 0
	o := Options{SegmentSize: testSegment, OnSync: func(time.Duration) { syncs++ }}
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, l, hard(1, 1, 0), entries(1, 3, 1, 10))
	before := syncs
	mustSave(t, l, hard(1, 1, 3), nil) // a commit index alone is not synced
	if syncs != before {
		t.Fatalf("a commit index made %d syncs: this test says nothing", syncs-before)
	}
	l.abandon(t)
	again, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if syncs != before+1 {
		t.Errorf("opening made %d syncs, want 1", syncs-before)
	}
	if got := again.segments[len(again.segments)-1]; got.durable != got.end {
		t.Errorf("durable up to %d of %d", got.durable, got.end)
	}
}

// abandon closes the files as the end of a process does, without a sync.
func (l *Log) abandon(t *testing.T) {
	t.Helper()
	l.spares.close()
	for _, s := range l.segments {
		if err := s.file.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLargeEntry(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	es := append(entries(1, 1, 1, 10), entries(2, 1, 1, 5*testSegment)...)
	for _, e := range es {
		mustSave(t, l, nil, []*raftpb.Entry{e})
	}
	mustSave(t, l, nil, entries(3, 1, 1, 10))
	l = reopen(t, dir, l)
	got, err := l.Entries(1, 4, math.MaxUint64)
	if err != nil || len(got) != 3 || !proto.Equal(got[1], es[1]) {
		t.Errorf("Entries() = %d entries, %v, want the three saved", len(got), err)
	}
}

func TestEntriesMaxSize(t *testing.T) {
	l := open(t, t.TempDir())
	mustSave(t, l, nil, entries(1, 10, 1, 100))
	if got, err := l.Entries(1, 11, 1); err != nil || len(got) != 1 {
		t.Errorf("Entries() within a byte = %d, %v, want one", len(got), err)
	}
	if got, err := l.Entries(1, 11, 350); err != nil || len(got) != 3 {
		t.Errorf("Entries() within 350 bytes = %d, %v, want 3", len(got), err)
	}
}

// Cutting the head gives files back, and one of them is used again.
func TestCutAndRecycle(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for i := range uint64(100) {
		mustSave(t, l, nil, entries(i+1, 1, 1, 200))
	}
	before := l.Size()
	if err := l.Compact(95); err != nil {
		t.Fatalf("Compact() = %v", err)
	}
	if after := l.Size(); after >= before/2 {
		t.Errorf("Size() = %d after the cut, want well below %d", after, before)
	}
	for i := uint64(100); i < 200; i++ {
		mustSave(t, l, nil, entries(i+1, 1, 2, 200))
	}
	l = reopen(t, dir, l)
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	if first != 96 || last != 200 {
		t.Errorf("log holds %d to %d, want 96 to 200", first, last)
	}
}

func TestCompactOutside(t *testing.T) {
	l := open(t, t.TempDir())
	mustSave(t, l, nil, entries(1, 3, 1, 10))
	if err := l.Compact(4); err == nil {
		t.Error("Compact() behind the end = nil error")
	}
	if err := l.Save(nil, entries(5, 1, 1, 10)); err == nil {
		t.Error("Save() with a gap = nil error")
	}
	mustSave(t, l, nil, entries(4, 1, 1, 10)) // a refusal changes nothing
}

// REL-05: after a write that failed the log takes nothing more.
func TestFailedForGood(t *testing.T) {
	l := open(t, t.TempDir())
	mustSave(t, l, nil, entries(1, 1, 1, 10))
	_ = l.segments[0].file.Close()
	err := l.Save(nil, entries(2, 1, 1, 10))
	if !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Save() on a closed file = %v, want its error", err)
	}
	if again := l.Save(nil, entries(2, 1, 1, 10)); !errors.Is(again, err) {
		t.Errorf("next Save() = %v, want %v again", again, err)
	}
	if err := l.Compact(1); err == nil {
		t.Error("Compact() of a failed log = nil error")
	}
}

// REL-04: no room for the next segment is told, and nothing is lost.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	mustSave(t, l, nil, entries(1, 1, 1, 10))
	l.spares.dir = filepath.Join(dir, "gone")
	var space *SpaceError
	// Larger than a segment, so that no file prepared before fits.
	if err := l.Save(nil, entries(2, 1, 1, 3*testSegment)); !errors.As(err, &space) {
		t.Fatalf("Save() without room = %v, want *SpaceError", err)
	}
	l.spares.dir = dir
	mustSave(t, l, nil, entries(2, 1, 1, 3*testSegment))
	l = reopen(t, dir, l)
	if last, _ := l.LastIndex(); last != 2 {
		t.Errorf("LastIndex() = %d, want 2", last)
	}
}
