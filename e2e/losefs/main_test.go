package losefs_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/e2e/losefs"
)

// childJob is the environment variable that makes the test binary a program
// that uses the file system, see child_test.go.
const childJob = "LOSEFS_CHILD_JOB"

func TestMain(m *testing.M) {
	if job := os.Getenv(childJob); job != "" {
		os.Exit(runChild(job, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// mounted is a file system of one test.
type mounted struct {
	*losefs.FS

	t                *testing.T
	backing, mounted string
}

func mount(t *testing.T) *mounted {
	t.Helper()
	m := &mounted{t: t, backing: t.TempDir(), mounted: t.TempDir()}
	f, err := losefs.Mount(m.backing, m.mounted, losefs.Options{Log: t.Output()})
	if err != nil {
		t.Fatalf("Mount() = %v, want no error", err)
	}
	m.FS = f
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Errorf("Unmount() = %v, want no error", err)
		}
	})
	return m
}

// path returns a path below the mount.
func (m *mounted) path(name string) string { return filepath.Join(m.mounted, name) }

func (m *mounted) crash(loss losefs.Loss, seed uint64) losefs.Report {
	m.t.Helper()
	report, err := m.Crash(loss, seed)
	if err != nil {
		m.t.Fatalf("Crash(%s, %d) = %v, want no error", loss, seed, err)
	}
	return report
}

// check stops the test on an error of an operation that must succeed.
func (m *mounted) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// open opens a file below the mount; the caller closes it.
func (m *mounted) open(name string, flags int) *os.File {
	m.t.Helper()
	f, err := os.OpenFile(m.path(name), flags, 0o600)
	m.check(err)
	return f
}

// write writes a file and, on request, syncs it.
func (m *mounted) write(name, data string, sync bool) {
	m.t.Helper()
	f := m.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	_, err := f.WriteString(data)
	m.check(err)
	if sync {
		m.check(f.Sync())
	}
	m.check(f.Close())
}

// overwrite writes into an existing file without truncating it.
func (m *mounted) overwrite(name string, off int64, data string, sync bool) {
	m.t.Helper()
	f := m.open(name, os.O_WRONLY)
	_, err := f.WriteAt([]byte(data), off)
	m.check(err)
	if sync {
		m.check(f.Sync())
	}
	m.check(f.Close())
}

// syncDir makes the names of a directory durable.
func (m *mounted) syncDir(name string) {
	m.t.Helper()
	d := m.open(name, os.O_RDONLY)
	m.check(d.Sync())
	m.check(d.Close())
}

// tree reads everything below a directory: contents by path, directories with
// a trailing slash.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		data, err := os.ReadFile(path)
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
