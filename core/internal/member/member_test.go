package member

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *File {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	return f
}

// ARC-R05: the ids are made once and kept; each start is counted.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if id := f.Identity(); id.ID == 0 || id.Cluster != 0 || id.Starts != 1 || id.Holds {
		t.Fatalf("Identity() = %+v, want an id, no cluster and one start", id)
	}
	if err := f.Join(99); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir).Identity(); again.ID != f.Member() || again.Cluster != 99 || again.Starts != 2 || again.Holds {
		t.Errorf("second Open() = %+v, want the ids of %+v and two starts", again, f.Identity())
	}
	if err := f.Hold(); err != nil {
		t.Fatal(err)
	}
	if err := f.Hold(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir).Identity(); !again.Holds || again.Cluster != 99 {
		t.Errorf("third Open() = %+v, want it to hold the state", again)
	}
	if other := open(t, t.TempDir()); other.Member() == f.Member() {
		t.Errorf("Open() elsewhere = %+v, want another id", other.Identity())
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func TestOpenDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(`{"id":"0"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Open() of a damaged file = %v", err)
	}
}

// STY-94: the file of the first release had no word on whether it holds state.
func TestOpenOlder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(`{"id":"7","cluster":"8","starts":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if id := open(t, dir).Identity(); id != (Identity{ID: 7, Cluster: 8, Starts: 4}) {
		t.Errorf("Identity() = %+v", id)
	}
}

// A crash between write and rename leaves the old identity in force.
func TestOpenAfterCrash(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, FileName+".tmp"), []byte(`{"id":"99","clu`), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir).Identity(); again.ID != first.Member() || again.Starts != 2 {
		t.Errorf("Open() = %+v, want %+v started twice", again, first.Identity())
	}
}

func TestOpenWithoutDirectory(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.HasPrefix(err.Error(), "write identity: ") {
		t.Errorf("Open() = %v, want an error", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.HasPrefix(err.Error(), "read identity: ") {
		t.Errorf("Open() below a file = %v, want an error", err)
	}
}

// Ids fit a signed number and are never 0: other protocols show them.
func TestRandom(t *testing.T) {
	seen := map[uint64]bool{}
	for range 1000 {
		id := Random()
		if id == 0 || id > math.MaxInt64 || seen[id] {
			t.Fatalf("Random() = %d, want a new positive number", id)
		}
		seen[id] = true
	}
}
