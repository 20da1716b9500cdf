package member

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ARC-R05: the ids are made once and kept; each start is counted.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil || first.ID == 0 || first.Cluster == 0 || first.Starts != 1 {
		t.Fatalf("Open() = %+v, %v, want fresh ids and one start", first, err)
	}
	again, err := Open(dir)
	if err != nil || again.ID != first.ID || again.Cluster != first.Cluster || again.Starts != 2 {
		t.Errorf("second Open() = %+v, %v, want the ids of %+v and two starts", again, err, first)
	}
	other, err := Open(t.TempDir())
	if err != nil || other.ID == first.ID {
		t.Errorf("Open() elsewhere = %+v, %v, want another id", other, err)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func TestOpenDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(`{"id":"0"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Open() of a damaged file = %v", err)
	}
}

// A crash between write and rename leaves the old identity in force.
func TestOpenAfterCrash(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName+".tmp"), []byte(`{"id":"99","clu`), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := Open(dir); err != nil || again.ID != first.ID || again.Starts != 2 {
		t.Errorf("Open() = %+v, %v, want %+v started twice", again, err, first)
	}
}

func TestOpenWithoutDirectory(t *testing.T) {
	if id, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.HasPrefix(err.Error(), "write identity: ") {
		t.Errorf("Open() = %+v, %v, want an error", id, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := Open(file); err == nil || !strings.HasPrefix(err.Error(), "read identity: ") {
		t.Errorf("Open() below a file = %+v, %v, want an error", id, err)
	}
}

// Ids fit a signed number and are never 0: other protocols show them.
func TestRandom(t *testing.T) {
	seen := map[uint64]bool{}
	for range 1000 {
		id := random()
		if id == 0 || id > math.MaxInt64 || seen[id] {
			t.Fatalf("random() = %d, want a new positive number", id)
		}
		seen[id] = true
	}
}
