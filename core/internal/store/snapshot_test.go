package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// large has rows of several chunks in several tables, and one of many chunks.
func large(t *testing.T) *member {
	t.Helper()
	m := newMember(t, held(t.TempDir()))
	for _, table := range []string{"hot", "other", "cold"} {
		for i := range 40 {
			m.must(t, put(table, fmt.Sprintf("%02d", i), strings.Repeat("x", i*1000)))
		}
		m.must(t, put(table, "99", strings.Repeat("y", 3*chunkSize)))
	}
	m.log = append(m.log, Committed{}) // the place of the configuration change
	if err := m.ApplyConf(uint64(len(m.log)), 3, &raftpb.ConfState{Voters: []uint64{5}}); err != nil {
		t.Fatal(err)
	}
	return m
}

func stream1(t *testing.T, m *member) []byte {
	t.Helper()
	p, err := m.OpenSnapshot(t.Context())
	if err != nil {
		t.Fatalf("OpenSnapshot() = %v", err)
	}
	defer func() { _ = p.Close() }()
	var buf bytes.Buffer
	if _, err := p.WriteTo(&buf); err != nil {
		t.Fatalf("WriteTo() = %v", err)
	}
	return buf.Bytes()
}

// ARC-S10: what arrives is what was sent, and goes on from there.
func TestSnapshot(t *testing.T) {
	from := large(t)
	to := newMember(t, held(t.TempDir()))
	to.must(t, put("hot", "old", "x"), put("cold", "old", "x"))
	views := new(recorder)
	if err := to.Observe(views); err != nil {
		t.Fatal(err)
	}
	w, err := to.Watch(WatchOptions{Table: to.id("hot")})
	if err != nil {
		t.Fatal(err)
	}
	transfer(t, from, to)
	for _, table := range []string{"hot", "other", "cold"} {
		if got, want := to.dump(t, table), from.dump(t, table); !slices.Equal(got, want) {
			t.Errorf("%s has %d rows, want %d", table, len(got), len(want))
		}
	}
	index, term := to.Applied()
	if want := uint64(len(from.log)); index != want || term != 3 || to.Persisted() != want {
		t.Errorf("Applied() = %d, %d, Persisted() = %d, want %d, 3", index, term, to.Persisted(), want)
	}
	if got := to.ConfState().GetVoters(); !slices.Equal(got, []uint64{5}) {
		t.Errorf("ConfState() = %v", got)
	}
	if want := []string{"rebuild at 1", "rebuild at 123"}; !slices.Equal(views.notes, want) {
		t.Errorf("observer saw %q, want %q", views.notes, want)
	}
	if err := to.Wait(t.Context(), 123); err != nil {
		t.Errorf("Wait(123) = %v", err)
	}
	_, first := w.Next(t.Context()) // the mark of the state before
	_, err = w.Next(t.Context())
	if first != nil || !errors.Is(err, kv.ErrCompacted) {
		t.Errorf("Next() = %v, then %v, want nil, then %v", first, err, kv.ErrCompacted)
	}
	if bytes, ops := to.Lag(); bytes != 0 || ops != 0 {
		t.Errorf("Lag() = %d, %d after Install, want none", bytes, ops)
	}
	to.log = slices.Clone(from.log)
	to.must(t, put("hot", "new", "1"))
	to.flush(t)
	again := to.crash(t)
	if got, want := again.dump(t, "hot"), to.dump(t, "hot"); !slices.Equal(got, want) {
		t.Errorf("after a crash %d rows, want %d", len(got), len(want))
	}
	if files, _ := os.ReadDir(to.opts.Dir); len(files) != 1 {
		t.Errorf("directory holds %v, want %s alone", files, FileName)
	}
}

func TestInstallOldSnapshot(t *testing.T) {
	m := large(t)
	r, err := m.Receive(t.Context(), bytes.NewReader(stream1(t, m)))
	if err != nil {
		t.Fatalf("Receive() = %v", err)
	}
	if err := m.Install(r); !errors.Is(err, ErrOldSnapshot) {
		t.Errorf("Install() = %v, want %v", err, ErrOldSnapshot)
	}
	if _, err := os.Stat(r.path); !os.IsNotExist(err) {
		t.Error("the file is still there")
	}
	if err := m.failed(); err != nil {
		t.Errorf("the store failed: %v", err)
	}
}

// A snapshot that was received before a stop is found again; older ones and
// damaged ones are not.
func TestStaged(t *testing.T) {
	from := large(t)
	data := stream1(t, from)
	o := held(t.TempDir())
	to := openMember(t, o)
	if r, err := to.Staged(); r != nil || err != nil {
		t.Errorf("Staged() = %v, %v, want none", r, err)
	}
	if _, err := to.Receive(t.Context(), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	_ = to.Close()
	to = openMember(t, o)
	r, err := to.Staged()
	if err != nil || r == nil || r.Meta().Index != uint64(len(from.log)) || r.Meta().Revision != 123 {
		t.Fatalf("Staged() = %+v, %v", r, err)
	}
	if err := to.Install(r); err != nil {
		t.Fatalf("Install() = %v", err)
	}
	if _, err := to.Receive(t.Context(), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if r, err := to.Staged(); r != nil || err != nil {
		t.Errorf("Staged() = %+v, %v for an old one, want none", r, err)
	}
	if err := os.WriteFile(to.receivedPath(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := to.Staged(); r != nil || err != nil {
		t.Errorf("Staged() = %+v, %v for a damaged one, want none", r, err)
	}
	if _, err := os.Stat(to.receivedPath()); !os.IsNotExist(err) {
		t.Error("the damaged file is still there")
	}
}

// FUZ-08: a stream that is cut or changed anywhere is refused and leaves nothing
// behind.
func TestReceiveDamaged(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	m.must(t, put("hot", "a", "1"), put("cold", "b", "2"), kv.Op{Kind: kv.Grant, Lease: 7, TTL: 1})
	data := stream1(t, m)
	to := openMember(t, held(t.TempDir()))
	receive := func(b []byte) error {
		_, err := to.Receive(t.Context(), bytes.NewReader(b))
		return err
	}
	for i := range data {
		if err := receive(data[:i]); !errors.Is(err, errSnapshot) {
			t.Fatalf("Receive() of %d of %d bytes = %v, want %v", i, len(data), err, errSnapshot)
		}
		damaged := slices.Clone(data)
		damaged[i] ^= 0x10
		if err := receive(damaged); err == nil {
			t.Fatalf("Receive() with byte %d changed = nil", i)
		}
	}
	if err := receive(data); err != nil {
		t.Errorf("Receive() = %v", err)
	}
	if _, err := os.Stat(filepath.Join(to.opts.Dir, partialFile)); !os.IsNotExist(err) {
		t.Error("a partial file is left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.Receive(ctx, bytes.NewReader(data)); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive() = %v, want %v", err, context.Canceled)
	}
}

// items is a stream with right checksums around any payload.
func items(payload []byte) []byte {
	var buf bytes.Buffer
	c := newChunkWriter(&buf)
	_, _ = c.Write(payload)
	_ = c.finish()
	return buf.Bytes()
}

func TestReceiveRefusesItems(t *testing.T) {
	head := []byte{0, 0, 0, 0, 0, 0, 0, diskFormat}
	bucket := func(name string) []byte { return appendField([]byte{itemBucket}, []byte(name)) }
	row := func(k, v string) []byte {
		b := append([]byte{itemRow, byte(len(k))}, byte(len(v)))
		return append(append(b, k...), v...)
	}
	table := string(bucketName(fsm.FirstTable))
	lease := string(bucketName(fsm.LeaseTable))
	good := string(appendRow(nil, &kv.Record{}))
	end := []byte{itemEnd}
	format := row(keyFormat, "\x00\x00\x00\x00\x00\x00\x00\x01")
	tests := map[string][][]byte{
		"nothing":            nil,
		"newer format":       {{0, 0, 0, 0, 0, 0, 0, diskFormat + 1}, bucket(metaBucket), format, end},
		"no end":             {head, bucket(metaBucket), format},
		"no meta":            {head, end},
		"no format":          {head, bucket(metaBucket), end},
		"behind the end":     {head, bucket(metaBucket), format, end, end},
		"unknown item":       {head, {'x'}},
		"unknown bucket":     {head, bucket("x")},
		"long bucket":        {head, bucket(strings.Repeat("t", 17))},
		"bucket order":       {head, bucket(table), bucket(metaBucket), format, end},
		"row without bucket": {head, row("a", good)},
		"row order":          {head, bucket(metaBucket), format, bucket(table), row("b", good), row("a", good), end},
		"row twice":          {head, bucket(metaBucket), format, bucket(table), row("a", good), row("a", good), end},
		"row without key":    {head, bucket(metaBucket), format, bucket(table), row("", good), end},
		"bad row":            {head, bucket(metaBucket), format, bucket(table), row("a", ""), end},
		"bad lease":          {head, bucket(metaBucket), format, bucket(lease), row("a", good), end},
		"bad table":          {head, bucket(metaBucket), format, bucket(tablesBucket), row("a", "b"), end},
		"bad applied":        {head, bucket(metaBucket), row(keyApplied, "x"), format, end},
		"long key":           {head, bucket(metaBucket), append([]byte{itemRow}, 0xff, 0xff, 0x7f, 0)},
		"long value":         {head, bucket(metaBucket), append([]byte{itemRow}, 1, 0xff, 0xff, 0xff, 0x7f)},
	}
	m := openMember(t, held(t.TempDir()))
	for name, parts := range tests {
		if _, err := m.Receive(t.Context(), bytes.NewReader(items(slices.Concat(parts...)))); err == nil {
			t.Errorf("Receive(%s) = nil, want an error", name)
		}
	}
	ok := slices.Concat(head, bucket(metaBucket), format, bucket(table), row("a", good), end)
	if _, err := m.Receive(t.Context(), bytes.NewReader(items(ok))); err != nil {
		t.Errorf("Receive() of a right one = %v", err)
	}
}

// ARC-L08, FUZ-08: any payload is refused or received, within bounded memory,
// and what is received can be installed.
func FuzzReceive(f *testing.F) {
	head := []byte{0, 0, 0, 0, 0, 0, 0, diskFormat}
	f.Add(append(head, itemEnd), true)
	f.Add(slices.Concat(head, appendField([]byte{itemBucket}, []byte(metaBucket)),
		appendField(appendField([]byte{itemRow}, []byte(keyFormat)), head)), true)
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, data []byte, wrapped bool) {
		if wrapped {
			data = items(data)
		}
		m := openMember(t, held(t.TempDir()))
		r, err := m.Receive(t.Context(), bytes.NewReader(data))
		if err != nil || r.Meta().Index == 0 {
			return
		}
		if err := m.Install(r); err != nil {
			t.Fatalf("Install() = %v", err)
		}
	})
}

// One snapshot is open at a time; the next one waits, as long as its context.
func TestOneSnapshotAtATime(t *testing.T) {
	m := large(t)
	first, err := m.OpenSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.OpenSnapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("OpenSnapshot() = %v, want %v", err, context.Canceled)
	}
	m.must(t, put("hot", "later", "x"))
	m.flush(t)
	if got := first.Meta().Revision; got != 123 {
		t.Errorf("Meta() = %d, want 123: it is pinned", got)
	}
	_ = first.Close()
	_ = first.Close()
	second, err := m.OpenSnapshot(t.Context())
	if err != nil || second.Meta().Revision != 124 {
		t.Fatalf("OpenSnapshot() = %v, %v", second, err)
	}
	for range 2 {
		if _, err := second.WriteTo(io.Discard); err != nil {
			t.Errorf("WriteTo() = %v", err)
		}
	}
	_ = second.Close()
	if _, err := second.WriteTo(io.Discard); err == nil {
		t.Error("WriteTo() = nil after Close")
	}
}

// A snapshot on its way out does not hold up one that is installed, nor Close.
func TestOpenSnapshotIsRevoked(t *testing.T) {
	newer := large(t)
	newer.must(t, put("hot", "a", "b"))
	data := stream1(t, newer)
	m := newMember(t, held(t.TempDir()))
	p, err := m.OpenSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Receive(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Install(r); err != nil {
		t.Fatalf("Install() = %v", err)
	}
	if _, err := p.WriteTo(io.Discard); !errors.Is(err, errSuperseded) {
		t.Errorf("WriteTo() = %v, want %v", err, errSuperseded)
	}
	_ = p.Close()
	if p, err = m.OpenSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = m.Close()
	if _, err := p.WriteTo(io.Discard); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("WriteTo() = %v, want %v", err, kv.ErrClosed)
	}
	_ = p.Close()
}

// A commit that is prepared while a snapshot is installed is dropped.
func TestCommitBehindSnapshotIsDropped(t *testing.T) {
	from := large(t)
	m := newMember(t, held(t.TempDir()))
	m.must(t, put("hot", "old", "x"))
	batches, epoch := m.take()
	transfer(t, from, m)
	if err := m.commit(batches, epoch); !errors.Is(err, errSuperseded) {
		t.Errorf("commit() = %v, want %v", err, errSuperseded)
	}
	m.release(batches, epoch)
	if bytes, ops := m.Lag(); bytes != 0 || ops != 0 {
		t.Errorf("Lag() = %d, %d, want none", bytes, ops)
	}
	if got := m.Root().Get(m.abs("hot", "old")); got != nil {
		t.Errorf("Get(old) = %v, want nil", got)
	}
}

func TestInstallErrorIsFinal(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	r, err := m.Receive(t.Context(), bytes.NewReader(stream1(t, large(t))))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if err := m.Install(r); err == nil || m.failed() == nil {
		t.Errorf("Install() = %v, failed() = %v, want errors", err, m.failed())
	}
}
