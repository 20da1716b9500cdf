package losefs_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/easynet-cn/batata/e2e/losefs"
)

// TestLimitSpace (REL-04): the disk is full for whatever needs space, and
// only for that, until space is freed.
func TestLimitSpace(t *testing.T) {
	m := mount(t)
	m.write("old", string(make([]byte, 8192)), true)
	m.LimitSpace(4096)
	f := m.open("new", os.O_CREATE|os.O_RDWR)
	defer f.Close()
	tests := []struct {
		name string
		call func() error
		want error
	}{
		{"first block", func() error { _, err := f.WriteAt(make([]byte, 4096), 0); return err }, nil},
		{"same block", func() error { _, err := f.WriteAt(make([]byte, 100), 0); return err }, nil},
		{"second block", func() error { _, err := f.WriteAt(make([]byte, 1), 4096); return err }, syscall.ENOSPC},
		{"allocation", func() error { return unix.Fallocate(int(f.Fd()), 0, 0, 4097) }, syscall.ENOSPC},
		{"sparse growth", func() error { return f.Truncate(1 << 20) }, nil},
		{"within an old file", func() error { return os.WriteFile(m.path("old"), nil, 0o600) }, nil},
		{"into the space it freed", func() error { _, err := f.WriteAt(make([]byte, 8192), 4096); return err }, nil},
		{"full again", func() error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 12288, 1) }, syscall.ENOSPC},
		{"limit lifted", func() error { m.LimitSpace(-1); return unix.Fallocate(int(f.Fd()), 0, 0, 1<<20) }, nil},
		{"removed file", func() error { m.LimitSpace(0); return os.Remove(m.path("new")) }, nil},
		{"its space", func() error { return os.WriteFile(m.path("old"), make([]byte, 1<<20), 0o600) }, nil},
	}
	for _, tt := range tests {
		if err := tt.call(); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestStatfsShowsLimit(t *testing.T) {
	m := mount(t)
	m.write("old", string(make([]byte, 8192)), true)
	m.LimitSpace(40960)
	var st unix.Statfs_t
	m.check(unix.Statfs(m.mounted, &st))
	if st.Bsize != 4096 || st.Blocks != 12 || st.Bavail != 10 {
		t.Errorf("Statfs() = %d blocks of %d, %d free, want 12 of 4096, 10 free", st.Blocks, st.Bsize, st.Bavail)
	}
	m.LimitSpace(-1)
	m.check(unix.Statfs(m.mounted, &st))
	if st.Bavail < 1000 {
		t.Errorf("Statfs() without limit = %d blocks free, want those of the file system below", st.Bavail)
	}
}

// TestFailedSyncForgets (REL-05): after EIO the page cache lies, so a program
// that goes on loses what it wrote before.
func TestFailedSyncForgets(t *testing.T) {
	m := mount(t)
	m.write("f", "0000", true)
	m.syncDir(".")
	m.FailSyncs(1)
	f := m.open("f", os.O_RDWR)
	_, err := f.WriteAt([]byte("1"), 0)
	m.check(err)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync() = %v, want EIO", err)
	}
	_, err = f.WriteAt([]byte("2"), 1)
	m.check(err)
	m.check(f.Sync())
	m.check(f.Close())
	if got := tree(t, m.mounted)["f"]; got != "1200" {
		t.Errorf("content before crash = %q, want %q", got, "1200")
	}
	m.crash(losefs.All, 0)
	if got := tree(t, m.mounted)["f"]; got != "0200" {
		t.Errorf("content after crash = %q, want %q", got, "0200")
	}
}

func TestUnsupported(t *testing.T) {
	m := mount(t)
	m.write("f", "x", true)
	tests := map[string]error{
		"Link":    os.Link(m.path("f"), m.path("g")),
		"Symlink": os.Symlink("f", m.path("g")),
		"Chown":   os.Chown(m.path("f"), 12345, 12345),
	}
	for name, err := range tests {
		if !errors.Is(err, syscall.ENOTSUP) {
			t.Errorf("%s() = %v, want ENOTSUP", name, err)
		}
	}
	if err := os.Mkdir(m.path("f"), 0o700); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("Mkdir() over a file = %v, want EEXIST", err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, m.path("f"), unix.AT_FDCWD, m.path("f2"), unix.RENAME_EXCHANGE); !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Renameat2(exchange) = %v, want an error", err)
	}
}

func TestPermissionsAreDurableAtOnce(t *testing.T) {
	m := mount(t)
	m.write("f", "x", true)
	m.syncDir(".")
	m.check(os.Chmod(m.path("f"), 0o640))
	m.crash(losefs.All, 0)
	info, err := os.Stat(m.path("f"))
	m.check(err)
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("mode after crash = %o, want 640", got)
	}
}

// TestFlock: bbolt relies on it to keep a second process out.
func TestFlock(t *testing.T) {
	m := mount(t)
	m.write("f", "", true)
	first, second := m.open("f", os.O_RDWR), m.open("f", os.O_RDWR)
	defer first.Close()
	defer second.Close()
	m.check(unix.Flock(int(first.Fd()), unix.LOCK_EX))
	if err := unix.Flock(int(second.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("Flock() of a locked file = %v, want EWOULDBLOCK", err)
	}
	m.check(first.Close())
	if err := unix.Flock(int(second.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("Flock() after the holder closed = %v, want no error", err)
	}
}
