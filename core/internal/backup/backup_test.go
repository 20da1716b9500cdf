package backup

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func keepAll(fsm.Table) func([]byte) bool { return nil }

// taken is the backup of a store with two tables, at entry 3 of term 2.
func taken(tb testing.TB) []byte {
	tb.Helper()
	s, err := store.Open(store.Options{Dir: tb.TempDir(), InitialMmapSize: 1 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.ApplyConf(1, 1, &raftpb.ConfState{Voters: []uint64{5, 6, 7}}); err != nil {
		tb.Fatal(err)
	}
	apply := func(index uint64, c fsm.Command) {
		data := fsm.AppendCommand(fsm.AppendHeader(nil), &c)
		if _, err := s.Apply([]store.Committed{{Index: index, Term: 2, Data: data}}); err != nil {
			tb.Fatal(err)
		}
	}
	apply(2, fsm.Command{Declare: &fsm.Declare{Owner: "o", Tables: []kv.TableSpec{{Name: "hot", Residency: kv.Hot}, {Name: "cold", Residency: kv.Cold}}}})
	row := func(id fsm.TableID, key string) kv.Op {
		return kv.Op{Kind: kv.Put, Key: fsm.AppendKey(nil, id, []byte(key)), Value: []byte("v")}
	}
	apply(3, fsm.Command{Txn: &fsm.Txn{Then: []kv.Op{row(16, "keep"), row(16, "drop"), row(17, "drop")}}})
	snap, err := s.OpenBackup(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	b, err := New(snap, Header{Cluster: 9, Member: 5, Taken: time.Unix(1, 0).UTC()})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	var out bytes.Buffer
	for {
		piece, err := b.Next(tb.Context())
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			tb.Fatal(err)
		}
		out.Write(piece)
	}
}

// whole says what is wrong with a directory as a member.
func whole(dir string, want Restored) error {
	id, err := member.Read(dir)
	if err != nil {
		return err
	}
	if id.ID != want.Member || id.Cluster != want.Cluster || !id.Holds {
		return errors.New("identity of another")
	}
	l, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{})
	if err != nil {
		return err
	}
	last, err := l.LastIndex()
	term, _ := l.Term(last)
	hs := l.HardState()
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	if last != 3 || term != 2 || hs.GetTerm() != 2 || hs.GetCommit() != 3 {
		return errors.New("log of another")
	}
	s, err := store.Open(store.Options{Dir: dir, InitialMmapSize: 1 << 20})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if index, term := s.Applied(); index != 3 || term != 2 {
		return errors.New("state of another")
	}
	if !slices.Equal(s.ConfState().GetVoters(), []uint64{want.Member}) {
		return errors.New("other voters")
	}
	return nil
}

// What is restored has new ids, one voter, the rows that go along, and a revision
// above the gap for every table.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	drops := func(t fsm.Table) func([]byte) bool {
		if t.Name != "hot" {
			return nil
		}
		return func(key []byte) bool { return string(key) == "drop" }
	}
	got, err := Restore(t.Context(), bytes.NewReader(taken(t)), Options{Dir: dir, Drops: drops})
	if err != nil {
		t.Fatal(err)
	}
	if got.From.Cluster != 9 || got.From.Index != 3 || got.From.Revision != 1 || got.Cluster == 9 || got.Revision != 1+Gap {
		t.Errorf("Restore() = %+v", got)
	}
	if err := whole(dir, got); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: dir, InitialMmapSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	r := s.Root()
	if r.Get(fsm.AppendKey(nil, 16, []byte("keep"))) == nil || r.Get(fsm.AppendKey(nil, 16, []byte("drop"))) != nil {
		t.Error("hot rows: want keep without drop")
	}
	if rec, err := s.ColdGet(fsm.AppendKey(nil, 17, []byte("drop"))); err != nil || rec == nil {
		t.Errorf("cold row = %v, %v, want it", rec, err)
	}
	if r.Revision() != got.Revision || r.Changed(16) != got.Revision || r.Changed(17) != got.Revision {
		t.Errorf("revisions = %d, %d, %d, want %d", r.Revision(), r.Changed(16), r.Changed(17), got.Revision)
	}
}

// REL-22: wherever a restore is cut short, the next start ends it or the next
// restore begins anew.
func TestRestoreIsCut(t *testing.T) {
	data := taken(t)
	o := Options{Drops: keepAll, LogDir: "log"}
	for moved := range 4 { // of three files
		o.Dir = t.TempDir()
		got, err := Restore(t.Context(), bytes.NewReader(data), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(o.Dir, complete), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range o.files()[moved:] {
			if err := os.Rename(filepath.Join(o.Dir, name), filepath.Join(o.Dir, complete, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Restore(t.Context(), bytes.NewReader(data), o); err == nil {
			t.Errorf("%d moved: a second Restore() = nil error", moved)
		}
		if err := Resume(o); err != nil {
			t.Fatalf("%d moved: Resume() = %v", moved, err)
		}
		if err := whole(o.Dir, got); err != nil {
			t.Errorf("%d moved: %v", moved, err)
		}
		if files, _ := os.ReadDir(o.Dir); len(files) != 3 {
			t.Errorf("%d moved: directory holds %v", moved, files)
		}
	}

	o.Dir = t.TempDir()
	left := filepath.Join(o.Dir, building+"1")
	if err := os.MkdirAll(filepath.Join(left, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	var unfinished *UnfinishedError
	if err := Resume(o); !errors.As(err, &unfinished) || !strings.Contains(err.Error(), "batata restore --data-dir "+o.Dir) {
		t.Errorf("Resume() = %v, want the command", err)
	}
	got, err := Restore(t.Context(), bytes.NewReader(data), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Resume(o), whole(o.Dir, got)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("what the cut restore had left is still there")
	}
}

// Every byte counts: none can be changed or missing.
func TestRestoreDamaged(t *testing.T) {
	data := taken(t)
	dir := t.TempDir()
	try := func(b []byte) error {
		_, err := Restore(t.Context(), bytes.NewReader(b), Options{Dir: dir, Drops: keepAll})
		if files, _ := os.ReadDir(dir); len(files) != 0 {
			t.Fatalf("the directory holds %v", files)
		}
		if _, checked := Check(bytes.NewReader(b)); (checked == nil) != (err == nil) {
			t.Fatalf("Check() = %v, Restore() = %v", checked, err)
		}
		return err
	}
	for i := range data {
		if err := try(data[:i]); err == nil {
			t.Fatalf("Restore() of %d of %d bytes = nil", i, len(data))
		}
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		if err := try(damaged); err == nil {
			t.Fatalf("Restore() with byte %d changed = nil", i)
		}
	}
}

// A header that does not belong to its rows is refused.
func TestRestoreOtherHeader(t *testing.T) {
	data := taken(t)
	in := bytes.NewReader(data)
	h, err := ReadHeader(in)
	if err != nil {
		t.Fatal(err)
	}
	h.Revision++
	other, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = Restore(t.Context(), io.MultiReader(bytes.NewReader(other), in), Options{Dir: dir, Drops: keepAll})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("Restore() = %v, want %v", err, ErrDamaged)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("the directory holds %v", files)
	}
}

// FUZ-08: any bytes are refused or restored, within bounded memory, and what is
// restored is a member.
func FuzzRestore(f *testing.F) {
	data := taken(f)
	f.Add(data)
	f.Add(data[:40])
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		got, err := Restore(t.Context(), bytes.NewReader(data), Options{Dir: dir, Drops: keepAll})
		if err != nil {
			if files, _ := os.ReadDir(dir); len(files) != 0 {
				t.Fatalf("the directory holds %v after %v", files, err)
			}
			return
		}
		if _, err := Check(bytes.NewReader(data)); err != nil {
			t.Errorf("Check() = %v of what was restored", err)
		}
		if id, err := member.Read(dir); err != nil || id.ID != got.Member {
			t.Errorf("identity = %+v, %v", id, err)
		}
	})
}
