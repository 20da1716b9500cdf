package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core"
)

func taken(t *testing.T) []byte {
	t.Helper()
	node, err := core.Start(t.Context(), core.Config{DataDir: t.TempDir(), Durability: core.OS})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = node.Close() }()
	chunks, err := node.Admin().Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = chunks.Close() }()
	var out bytes.Buffer
	for {
		b, err := chunks.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
}

// REL-22: restore says what it has made, takes standard input as well, and leaves
// a directory with data alone.
func TestRestore(t *testing.T) {
	t.Chdir(t.TempDir())
	data := taken(t)
	if err := os.WriteFile("file", data, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, Settings{}, "restore", "file", "--data-dir", "a", "--min-revision", "1099511627776")
	if code != 0 || !strings.Contains(out, "goes on from revision 1099511627776") || !strings.Contains(out, "empty data directories") {
		t.Errorf("restore = %d %q %q", code, out, errs)
	}
	code, _, errs = run(t, Settings{}, "restore", "file", "--data-dir", "a")
	if code != 1 || !strings.Contains(errs, "a holds data already (log): nothing was changed") {
		t.Errorf("restore over data = %d %q, want a refusal", code, errs)
	}
	code, out, errs = run(t, Settings{In: bytes.NewReader(data)}, "restore", "-", "--data-dir", "b")
	if code != 0 || !strings.Contains(out, "into b\n") {
		t.Errorf("restore of standard input = %d %q %q", code, out, errs)
	}
	node, err := core.Start(t.Context(), core.Config{DataDir: "b", Durability: core.OS})
	if err != nil {
		t.Fatal(err)
	}
	_ = node.Close()
}

// A backup is there whole or not at all, for its owner alone, and replaces nothing.
func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	failed := errors.New("cut short")
	err := writeNew(path, func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		return errors.Join(err, failed)
	})
	if files, _ := os.ReadDir(filepath.Dir(path)); !errors.Is(err, failed) || len(files) != 0 {
		t.Errorf("writeNew() = %v, directory holds %v, want nothing", err, files)
	}
	for i, want := range []string{"", "exists already"} {
		err := writeNew(path, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err })
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("writeNew() number %d = %v, want %q", i+1, err, want)
		}
	}
	b, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if string(b) != "whole" || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file = %q, %v, mode %v", b, err, info.Mode())
	}
}
