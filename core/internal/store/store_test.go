package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

func TestReopen(t *testing.T) {
	o := held(t.TempDir())
	m := newMember(t, o)
	m.must(t, put("hot", "a", "1"), put("cold", "b", "2"), kv.Op{Kind: kv.Grant, Lease: 7, TTL: time.Minute})
	m.must(t, del("hot", "a"))
	conf := &raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}}
	if err := m.ApplyConf(4, 2, conf); err != nil {
		t.Fatalf("ApplyConf() = %v", err)
	}
	conf.Voters[0] = 99 // ours is a copy
	if got := m.Persisted(); got != 0 {
		t.Errorf("Persisted() = %d before anything is, want 0", got)
	}
	if err := m.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
	n := openMember(t, o)
	if index, term := n.Applied(); index != 4 || term != 2 || n.Persisted() != 4 || n.Root().Index() != 4 {
		t.Errorf("Applied() = %d, %d, Persisted() = %d, want 4, 2, 4", index, term, n.Persisted())
	}
	if got := n.ConfState(); !slices.Equal(got.GetVoters(), []uint64{1, 2}) || !slices.Equal(got.GetLearners(), []uint64{3}) {
		t.Errorf("ConfState() = %v", got)
	}
	if got := n.Root().Revision(); got != 2 {
		t.Errorf("Revision() = %d, want 2", got)
	}
	if got := n.Tables(); len(got) != 3 || got[0].ID != fsm.FirstTable || got[2].Residency != kv.Cold {
		t.Errorf("Tables() = %v", got)
	}
	if got := n.Root().Changed(n.id("hot")); got != 2 {
		t.Errorf("Changed(hot) = %d, want 2: the delete counts", got)
	}
	if r, err := n.ColdGet(n.abs("cold", "b")); err != nil || string(r.Value) != "2" {
		t.Errorf("ColdGet(b) = %v, %v", r, err)
	}
	if id, ttl := fsm.LeaseOf(n.Root().Get(fsm.LeaseKey(7))); id != 7 || ttl != time.Minute {
		t.Errorf("LeaseOf() = %d, %s", id, ttl)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Run("locked", func(t *testing.T) {
		o := held(t.TempDir())
		openMember(t, o)
		o.LockTimeout = time.Millisecond
		_, err := Open(o)
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Path != filepath.Join(o.Dir, FileName) {
			t.Errorf("Open() = %v, want a LockedError", err)
		}
	})
	t.Run("newer format", func(t *testing.T) {
		o := held(t.TempDir())
		edit(t, o.Dir, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte(metaBucket))
			return errors.Join(err, b.Put([]byte(keyFormat), binary.BigEndian.AppendUint64(nil, diskFormat+1)))
		})
		_, err := Open(o)
		var format *FormatError
		if !errors.As(err, &format) || format.Found != diskFormat+1 || format.Known != diskFormat {
			t.Errorf("Open() = %v, want a FormatError", err)
		}
	})
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"foreign file": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(metaBucket)).Put([]byte(keyFormat), []byte("?"))
		},
		"bad index": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(metaBucket)).Put([]byte(keyApplied), []byte("?"))
		},
		"bad revision": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(metaBucket)).Put([]byte(keyRevision), []byte("?"))
		},
		"bad configuration": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(metaBucket)).Put([]byte(keyConf), []byte("\xff\xff"))
		},
		"bad changes": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(metaBucket)).Put([]byte(keyChanged), []byte("\xff"))
		},
		"bad table": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(tablesBucket)).Put([]byte{0, 20}, []byte("\x01\xff"))
		},
		"bad row": func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketName(fsm.FirstTable)).Put([]byte("k"), []byte("\x01"))
		},
		"bad lease": func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucketName(fsm.LeaseTable))
			return errors.Join(err, b.Put([]byte("k"), appendRow(nil, &kv.Record{})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := held(t.TempDir())
			m := newMember(t, o)
			m.must(t, put("hot", "a", "1"))
			_ = m.Close()
			edit(t, o.Dir, change)
			if s, err := Open(o); err == nil {
				_ = s.Close()
				t.Error("Open() = nil, want an error")
			}
		})
	}
}

func edit(t *testing.T, dir string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// FLT-01: bytes that are no command get an outcome and change the index only.
func TestApplyMalformedEntries(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	good := fsm.AppendCommand(nil, &fsm.Command{ID: 7, Txn: m.absolute(kv.Txn{Then: []kv.Op{put("hot", "a", "1")}})})
	bad := append([]byte{9}, "\x00\x00\x00\x00\x00\x00\x00\x05\x63"...)
	entries := [][]byte{
		nil,
		{0},
		slices.Concat(fsm.AppendHeader(nil), bad, good),
		slices.Concat(fsm.AppendHeader(nil), good[:len(good)-1]),
	}
	var committed []Committed
	for i, data := range entries {
		committed = append(committed, Committed{Index: uint64(2 + i), Term: 1, Data: data})
	}
	outs, err := m.Apply(committed)
	if err != nil || len(outs) != 4 {
		t.Fatalf("Apply() = %v, %v, want 4 outcomes", outs, err)
	}
	for i, want := range []struct {
		id  uint64
		err error
	}{{0, fsm.ErrMalformed}, {5, fsm.ErrMalformed}, {7, nil}, {0, fsm.ErrMalformed}} {
		if outs[i].ID != want.id || !errors.Is(outs[i].Err, want.err) {
			t.Errorf("outcome %d = %+v, want %+v", i, outs[i], want)
		}
	}
	if index, _ := m.Applied(); index != 5 || m.Root().Revision() != 1 {
		t.Errorf("Applied() = %d at revision %d, want 5 at 1", index, m.Root().Revision())
	}
}

// ARC-S11: an entry of a newer format stops the member for good, in front of it.
func TestApplyNewerFormat(t *testing.T) {
	o := held(t.TempDir())
	var failed error
	o.OnFail = func(err error) { failed = err }
	m := newMember(t, o)
	good := m.entry(fsm.Command{Txn: m.absolute(kv.Txn{Then: []kv.Op{put("hot", "a", "1")}})})
	outs, err := m.Apply([]Committed{good, {Index: 3, Term: 1, Data: []byte{2}}})
	if !errors.Is(err, fsm.ErrFormat) || !errors.Is(failed, fsm.ErrFormat) || len(outs) != 1 {
		t.Errorf("Apply() = %v, %v, OnFail(%v), want one outcome and %v", outs, err, failed, fsm.ErrFormat)
	}
	if index, _ := m.Applied(); index != 2 {
		t.Errorf("Applied() = %d, want 2", index)
	}
	if _, err := m.Apply([]Committed{{Index: 3}}); !errors.Is(err, fsm.ErrFormat) {
		t.Errorf("Apply() = %v after the failure, want %v", err, fsm.ErrFormat)
	}
	if err := m.ApplyConf(3, 1, nil); !errors.Is(err, fsm.ErrFormat) {
		t.Errorf("ApplyConf() = %v after the failure, want %v", err, fsm.ErrFormat)
	}
}

func TestClosed(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	w, err := m.Watch(WatchOptions{Table: m.id("hot"), After: 1})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- m.Wait(t.Context(), 99) }()
	_ = m.Close()
	if err := <-waited; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Wait() = %v, want %v", err, kv.ErrClosed)
	}
	_, next := w.Next(t.Context())
	_, apply := m.Apply([]Committed{{Index: 9}})
	_, get := m.ColdGet(m.abs("cold", "a"))
	_, watch := m.Watch(WatchOptions{Table: m.id("hot")})
	_, snapshot := m.OpenSnapshot(t.Context())
	_, receive := m.Receive(t.Context(), strings.NewReader(""))
	for name, err := range map[string]error{
		"Next": next, "Apply": apply, "ColdGet": get, "Watch": watch, "OpenSnapshot": snapshot,
		"Receive": receive, "Install": m.Install(&Received{}),
		"ColdScan": m.ColdScan(m.abs("cold", ""), nil, false, func(*kv.Record) bool { return true }),
	} {
		if !errors.Is(err, kv.ErrClosed) {
			t.Errorf("%s() = %v after Close, want %v", name, err, kv.ErrClosed)
		}
	}
	if m.Root().Revision() != 0 {
		t.Error("Root() is gone after Close")
	}
}

func TestScan(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	all := []string{"a", "a\xff", "a\xff\xff", "b", "ba", "bb", "\xff", "\xff\xff"}
	for _, table := range []string{"other", "hot", "cold"} {
		for i, k := range all {
			m.must(t, put(table, k, "v"))
			if i == 3 {
				m.flush(t) // cold rows on both sides
			}
		}
	}
	m.must(t, put("cold", "bz", "v"))
	m.flush(t)
	m.must(t, del("cold", "bz"))
	scans := []struct {
		prefix, from string
		resume       bool
		want         []string
	}{
		{"", "", false, all},
		{"a", "", false, all[:3]},
		{"a\xff", "", false, all[1:3]},
		{"b", "ba", true, all[4:6]},
		{"b", "baa", true, all[5:6]},
		{"b", "a", true, all[3:6]},
		{"b", "c", true, nil},
		{"\xff", "", false, all[6:]},
		{"zz", "", false, nil},
	}
	down := []struct {
		prefix, from string
		resume       bool
		want         []string
	}{
		{"", "", false, all},
		{"a", "", false, all[:3]},
		{"b", "ba", true, all[3:5]},
		{"b", "baa", true, all[3:5]},
		{"b", "c", true, all[3:6]},
		{"b", "a", true, nil},
		{"\xff", "", false, all[6:]},
		{"zz", "", false, nil},
	}
	for _, table := range []string{"hot", "cold"} {
		scan := func(prefix, from string, resume, descending bool) (got []string) {
			var f []byte
			if resume {
				f = m.abs(table, from)
			}
			visit := func(r *kv.Record) bool { got = append(got, string(r.Key)); return true }
			if table == "hot" {
				m.Root().Scan(m.abs(table, prefix), f, descending, visit)
			} else if err := m.ColdScan(m.abs(table, prefix), f, descending, visit); err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, s := range scans {
			if got := scan(s.prefix, s.from, s.resume, false); !slices.Equal(got, s.want) {
				t.Errorf("%s Scan(%q, %q) = %q, want %q", table, s.prefix, s.from, got, s.want)
			}
		}
		for _, s := range down {
			want := slices.Clone(s.want)
			slices.Reverse(want)
			if got := scan(s.prefix, s.from, s.resume, true); !slices.Equal(got, want) {
				t.Errorf("%s Scan(%q, %q) down = %q, want %q", table, s.prefix, s.from, got, want)
			}
		}
	}
}

// recorder is an Observer that notes what it sees and when.
type recorder struct {
	notes   []string
	applied func(rev kv.Revision, changes []fsm.Change)
	fail    error
}

func (r *recorder) Rebuild(s *Store) error {
	r.notes = append(r.notes, fmt.Sprintf("rebuild at %d", s.Root().Revision()))
	return r.fail
}

func (r *recorder) Applied(rev kv.Revision, changes []fsm.Change) {
	r.notes = append(r.notes, fmt.Sprintf("%d: %d changes", rev, len(changes)))
	if r.applied != nil {
		r.applied(rev, changes)
	}
}

// CTR-B06: root first, observers second, watchers third; Wait after observers.
func TestOrderOfViews(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	w, err := m.Watch(WatchOptions{Table: m.id("hot")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := new(recorder), new(recorder)
	first.applied = func(rev kv.Revision, changes []fsm.Change) {
		if got := m.Root().Get(m.abs("hot", "a")); got == nil || m.Root().Revision() < rev {
			t.Errorf("Applied(%d) sees revision %d", rev, m.Root().Revision())
		}
		if b, _, _ := w.(*stream).pull(); len(b.Events) > 0 {
			t.Errorf("a watcher has %v before the observers", b.Events)
		}
		if got := m.seen.now.Load(); got >= uint64(rev) {
			t.Errorf("Wait(%d) is over before the observers", rev)
		}
	}
	for _, o := range []*recorder{first, second} {
		if err := m.Observe(o); err != nil {
			t.Fatalf("Observe() = %v", err)
		}
	}
	txn := func(ops ...kv.Op) fsm.Command { return fsm.Command{Txn: m.absolute(kv.Txn{Then: ops})} }
	m.mustApply(t,
		txn(put("hot", "a", "1"), put("cold", "b", "2"), kv.Op{Kind: kv.Grant, Lease: 7, TTL: time.Minute}),
		txn(del("hot", "none")),
		txn(del("hot", "a"), put("hot", "a", "3")),
	)
	want := []string{"rebuild at 0", "1: 3 changes", "2: 1 changes"}
	if !slices.Equal(first.notes, want) || !slices.Equal(second.notes, want) {
		t.Errorf("observers saw %q and %q, want %q", first.notes, second.notes, want)
	}
	if err := m.Wait(t.Context(), 2); err != nil {
		t.Errorf("Wait(2) = %v", err)
	}
	if err := m.Observe(&recorder{fail: errors.New("broken")}); err == nil {
		t.Error("Observe() = nil for an observer that fails")
	}
}

// ARC-S02: readers beside the writer, for the race detector; a root does not
// change under its reader.
func TestReadersBesideWriter(t *testing.T) {
	o := held(t.TempDir())
	o.PersistEvery = time.Millisecond
	m := newMember(t, o)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := m.Root()
				a, b := r.Get(m.abs("hot", "a")), r.Get(m.abs("other", "b"))
				if (a == nil) != (b == nil) || a != nil && string(a.Value) != string(b.Value) {
					t.Errorf("one root holds %v and %v", a, b)
					return
				}
				n := 0
				r.Scan(m.abs("hot", ""), nil, n%2 == 0, func(*kv.Record) bool { n++; return true })
			}
		})
	}
	for i := range 300 {
		v := fmt.Sprint(i)
		m.must(t, put("hot", "a", v), put("hot", "k"+v, v), put("other", "b", v))
	}
	close(stop)
	wg.Wait()
}

// ARC-S04: a cold transaction is seen whole at any moment, whatever part of it
// is on disk already.
func TestColdReadersBesideCommits(t *testing.T) {
	o := held(t.TempDir())
	o.PersistEvery = time.Microsecond
	m := newMember(t, o)
	m.must(t, put("cold", "a", "0"), put("cold", "b", "0"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var values []string
				err := m.ColdScan(m.abs("cold", ""), nil, false, func(r *kv.Record) bool {
					values = append(values, string(r.Value))
					return true
				})
				if err != nil || len(values) != 2 || values[0] != values[1] {
					t.Errorf("ColdScan() = %q, %v, want two equal values", values, err)
					return
				}
				if r, err := m.ColdGet(m.abs("cold", "a")); err != nil || r == nil || string(r.Value) < "0" {
					t.Errorf("ColdGet() = %v, %v", r, err)
					return
				}
			}
		})
	}
	for i := range 300 {
		v := fmt.Sprint(i)
		m.must(t, put("cold", "a", v), put("cold", "b", v))
		if i%3 == 0 {
			m.flush(t)
		}
	}
	close(stop)
	wg.Wait()
}

// A transaction from before a commit does not go with a root from after it: the
// rows of the commit would be in neither.
func TestRootJoinsTransaction(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	m.flush(t)
	m.must(t, put("cold", "a", "1"))
	err := m.disk.view(func(tx *bbolt.Tx) error {
		before := m.Root()
		m.flush(t)
		for want, r := range map[bool]*Root{true: before, false: m.Root()} {
			if got, err := r.joins(tx); got != want || err != nil {
				t.Errorf("joins() = %v, %v, want %v", got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOpenMakesDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	openMember(t, held(dir))
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(held(file)); err == nil {
		t.Error("Open() of a file = nil, want an error")
	}
}
