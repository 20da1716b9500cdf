package durable

import (
	"os"
	"path/filepath"
	"testing"
)

// The old content goes, the mode is 0600, and nothing is left beside the file.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"a long first content", "short"} {
		if err := Replace(path, []byte(content)); err != nil {
			t.Fatalf("Replace() = %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("content = %q, %v, want %q", got, err, content)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("directory holds %d files, %v, want 1", len(entries), err)
	}
	if err := Replace(filepath.Join(dir, "none", "file"), nil); err == nil {
		t.Error("Replace() in a directory that is not there = nil, want an error")
	}
	if err := SyncDir(filepath.Join(dir, "none")); err == nil {
		t.Error("SyncDir() of a directory that is not there = nil, want an error")
	}
}
