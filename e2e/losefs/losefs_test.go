package losefs_test

import (
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/easynet-cn/batata/e2e/losefs"
)

// TestCrashLosesWhatWasNotSynced (REL-02): every case starts from a durable
// tree, changes it, and tells what is there before and after the power cut.
func TestCrashLosesWhatWasNotSynced(t *testing.T) {
	start := map[string]string{"old": "durable", "dir/": "", "dir/in": "inner", "other/": ""}
	with := func(changes map[string]string, gone ...string) map[string]string {
		m := maps.Clone(start)
		maps.Copy(m, changes)
		for _, name := range gone {
			delete(m, name)
		}
		return m
	}
	tests := map[string]struct {
		change     func(m *mounted)
		live, left map[string]string
	}{
		"new file, nothing synced": {
			change: func(m *mounted) { m.write("new", "x", false) },
			live:   with(map[string]string{"new": "x"}), left: start,
		},
		"new file synced, its directory not": {
			change: func(m *mounted) { m.write("new", "x", true) },
			live:   with(map[string]string{"new": "x"}), left: start,
		},
		"new file not synced, its directory synced": {
			change: func(m *mounted) { m.write("new", "x", false); m.syncDir(".") },
			live:   with(map[string]string{"new": "x"}), left: with(map[string]string{"new": ""}),
		},
		"new file and directory synced": {
			change: func(m *mounted) { m.write("new", "x", true); m.syncDir(".") },
			live:   with(map[string]string{"new": "x"}), left: with(map[string]string{"new": "x"}),
		},
		"only what came before the sync stays": {
			change: func(m *mounted) {
				f := m.open("old", os.O_WRONLY)
				for _, step := range []func() error{
					func() error { _, err := f.WriteAt([]byte("DUR"), 0); return err },
					f.Sync,
					func() error { _, err := f.WriteAt([]byte("ABLE and more"), 3); return err },
					f.Close,
				} {
					m.check(step())
				}
			},
			live: with(map[string]string{"old": "DURABLE and more"}), left: with(map[string]string{"old": "DURable"}),
		},
		"fdatasync keeps data and size": {
			change: func(m *mounted) {
				f := m.open("old", os.O_WRONLY|os.O_APPEND)
				_, err := f.WriteString("+more")
				m.check(err)
				m.check(unix.Fdatasync(int(f.Fd())))
				m.check(f.Close())
			},
			live: with(map[string]string{"old": "durable+more"}), left: with(map[string]string{"old": "durable+more"}),
		},
		"O_DSYNC syncs each write": {
			change: func(m *mounted) {
				f := m.open("old", os.O_WRONLY|syscall.O_DSYNC)
				_, err := f.WriteString("DSYNC")
				m.check(err)
				m.check(f.Close())
			},
			live: with(map[string]string{"old": "DSYNCle"}), left: with(map[string]string{"old": "DSYNCle"}),
		},
		"truncated": {
			change: func(m *mounted) { m.check(os.Truncate(m.path("old"), 3)) },
			live:   with(map[string]string{"old": "dur"}), left: start,
		},
		"truncated, grown and synced": {
			change: func(m *mounted) {
				m.check(os.Truncate(m.path("old"), 3))
				m.check(os.Truncate(m.path("old"), 5))
				m.overwrite("old", 6, "!", true)
			},
			live: with(map[string]string{"old": "dur\x00\x00\x00!"}), left: with(map[string]string{"old": "dur\x00\x00\x00!"}),
		},
		"fallocate": {
			change: func(m *mounted) {
				f := m.open("old", os.O_RDWR)
				m.check(unix.Fallocate(int(f.Fd()), 0, 0, 9))
				m.check(f.Close())
			},
			live: with(map[string]string{"old": "durable\x00\x00"}), left: start,
		},
		"punched hole, synced": {
			change: func(m *mounted) {
				f := m.open("old", os.O_RDWR)
				m.check(unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1, 2))
				m.check(f.Sync())
				m.check(f.Close())
			},
			live: with(map[string]string{"old": "d\x00\x00able"}), left: with(map[string]string{"old": "d\x00\x00able"}),
		},
		"rename": {
			change: func(m *mounted) { m.check(os.Rename(m.path("old"), m.path("new"))) },
			live:   with(map[string]string{"new": "durable"}, "old"), left: start,
		},
		"rename, directory synced": {
			change: func(m *mounted) { m.check(os.Rename(m.path("old"), m.path("new"))); m.syncDir(".") },
			live:   with(map[string]string{"new": "durable"}, "old"), left: with(map[string]string{"new": "durable"}, "old"),
		},
		"replaced by rename, the file never synced": {
			change: func(m *mounted) {
				m.write("tmp", "fresh", false)
				m.check(os.Rename(m.path("tmp"), m.path("old")))
				m.syncDir(".")
			},
			live: with(map[string]string{"old": "fresh"}), left: with(map[string]string{"old": ""}),
		},
		"replaced by rename, file synced, directory not": {
			change: func(m *mounted) {
				m.write("tmp", "fresh", true)
				m.check(os.Rename(m.path("tmp"), m.path("old")))
			},
			live: with(map[string]string{"old": "fresh"}), left: start,
		},
		"moved to another directory, target synced": {
			change: func(m *mounted) { m.check(os.Rename(m.path("old"), m.path("other/old"))); m.syncDir("other") },
			live:   with(map[string]string{"other/old": "durable"}, "old"), left: with(map[string]string{"other/old": "durable"}, "old"),
		},
		"moved out of a directory that is new itself": {
			change: func(m *mounted) {
				m.check(os.Mkdir(m.path("dir/a"), 0o700))
				m.write("dir/a/f", "x", true)
				m.check(os.Rename(m.path("dir/a/f"), m.path("other/f")))
				m.syncDir("other")
			},
			live: with(map[string]string{"dir/a/": "", "other/f": "x"}), left: with(map[string]string{"dir/a/": "", "other/f": "x"}),
		},
		"new directory synced, its parent not": {
			change: func(m *mounted) {
				m.check(os.Mkdir(m.path("sub"), 0o700))
				m.write("sub/f", "x", true)
				m.syncDir("sub")
			},
			live: with(map[string]string{"sub/": "", "sub/f": "x"}), left: start,
		},
		"new directory synced, its parent afterwards": {
			change: func(m *mounted) {
				m.check(os.Mkdir(m.path("sub"), 0o700))
				m.write("sub/f", "x", true)
				m.syncDir("sub")
				m.syncDir(".")
			},
			live: with(map[string]string{"sub/": "", "sub/f": "x"}), left: with(map[string]string{"sub/": "", "sub/f": "x"}),
		},
		"new directory, only its parent synced": {
			change: func(m *mounted) {
				m.check(os.Mkdir(m.path("sub"), 0o700))
				m.write("sub/f", "x", true)
				m.syncDir(".")
			},
			live: with(map[string]string{"sub/": "", "sub/f": "x"}), left: with(map[string]string{"sub/": ""}),
		},
		"directory renamed over an empty one": {
			change: func(m *mounted) { m.check(unix.Rename(m.path("dir"), m.path("other"))); m.syncDir(".") },
			live:   with(map[string]string{"other/in": "inner"}, "dir/", "dir/in"), left: with(map[string]string{"other/in": "inner"}, "dir/", "dir/in"),
		},
		"removed": {
			change: func(m *mounted) { m.check(os.Remove(m.path("old"))) },
			live:   with(nil, "old"), left: start,
		},
		"removed, directory synced": {
			change: func(m *mounted) { m.check(os.Remove(m.path("old"))); m.syncDir(".") },
			live:   with(nil, "old"), left: with(nil, "old"),
		},
		"removed with all below, parent synced": {
			change: func(m *mounted) { m.check(os.RemoveAll(m.path("dir"))); m.syncDir(".") },
			live:   with(nil, "dir/", "dir/in"), left: with(nil, "dir/", "dir/in"),
		},
		"made and removed again": {
			change: func(m *mounted) { m.write("new", "x", true); m.check(os.Remove(m.path("new"))); m.syncDir(".") },
			live:   start, left: start,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := mount(t)
			m.check(os.Mkdir(m.path("dir"), 0o700))
			m.check(os.Mkdir(m.path("other"), 0o700))
			m.write("old", "durable", true)
			m.write("dir/in", "inner", true)
			m.syncDir("dir")
			m.syncDir(".")

			tt.change(m)
			if got := tree(t, m.mounted); !maps.Equal(got, tt.live) {
				t.Errorf("tree before crash = %q, want %q", got, tt.live)
			}
			m.crash(losefs.All, 1)
			if got := tree(t, m.mounted); !maps.Equal(got, tt.left) {
				t.Errorf("tree after crash = %q, want %q", got, tt.left)
			}
			if got := tree(t, m.backing); !maps.Equal(got, tt.left) {
				t.Errorf("backing tree = %q, want %q", got, tt.left)
			}
		})
	}
}

// TestUnmountKeepsEverything: a clean end loses nothing.
func TestUnmountKeepsEverything(t *testing.T) {
	m := mount(t)
	m.check(os.Mkdir(m.path("dir"), 0o750))
	m.write("dir/f", "x", false)
	m.check(m.Unmount())
	want := map[string]string{"dir/": "", "dir/f": "x"}
	if got := tree(t, m.backing); !maps.Equal(got, want) {
		t.Errorf("backing tree after Unmount() = %q, want %q", got, want)
	}
}

// TestCrashNeedsIdleMount: a power cut under a live process would be none.
func TestCrashNeedsIdleMount(t *testing.T) {
	m := mount(t)
	f := m.open("busy", os.O_CREATE|os.O_WRONLY)
	if _, err := m.Crash(losefs.All, 1); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Crash() with an open file = %v, want an error with %q", err, "in use")
	}
	m.check(f.Close())
	m.crash(losefs.All, 1)
}

// TestSubsetKeepsSomeWrites (REL-02): single writes of a file come and go by
// seed, each whole, and the same seed means the same loss.
func TestSubsetKeepsSomeWrites(t *testing.T) {
	const blocks, size = 8, 4096
	once := func(t *testing.T, seed uint64) string {
		t.Helper()
		m := mount(t)
		m.write("f", strings.Repeat("-", blocks*size), true)
		m.syncDir(".")
		for i := range blocks {
			m.overwrite("f", int64(i)*size, strings.Repeat(string(rune('a'+i)), size), false)
		}
		m.write("later", "", false)
		m.crash(losefs.Subset, seed)
		got := tree(t, m.mounted)
		pattern := ""
		for i := range blocks {
			block := got["f"][i*size : (i+1)*size]
			if block != strings.Repeat(block[:1], size) {
				t.Errorf("block %d after Crash(subset, %d) is mixed, want it whole", i, seed)
			}
			pattern += block[:1]
		}
		if _, ok := got["later"]; ok {
			pattern += "+"
		}
		return pattern
	}
	seen := make(map[string]bool)
	for seed := range uint64(6) {
		first := once(t, seed)
		if again := once(t, seed); again != first {
			t.Errorf("Crash(subset, %d) twice = %q, then %q, want the same", seed, first, again)
		}
		seen[first] = true
	}
	if len(seen) < 3 {
		t.Errorf("Crash(subset) with 6 seeds left %d outcomes %v, want at least 3", len(seen), seen)
	}
}

// TestTornCutsLastWrite (REL-03): earlier writes and names stay, the last
// write ends at a sector boundary.
func TestTornCutsLastWrite(t *testing.T) {
	lengths := make(map[int]bool)
	for seed := range uint64(8) {
		m := mount(t)
		m.write("log", strings.Repeat("a", 100), false)
		m.overwrite("log", 100, strings.Repeat("b", 3000), false)
		m.write("short", "not a sector long", false)
		report := m.crash(losefs.Torn, seed)
		got := tree(t, m.mounted)
		n := len(got["log"])
		if n%512 != 0 || n <= 100 || n >= 3100 {
			t.Errorf("length after Crash(torn, %d) = %d, want a sector boundary inside the last write", seed, n)
		}
		if want := strings.Repeat("a", 100) + strings.Repeat("b", max(n-100, 0)); got["log"] != want {
			t.Errorf("content after Crash(torn, %d) = %q, want the first write and the start of the second", seed, got["log"])
		}
		if content, ok := got["short"]; !ok || content != "" {
			t.Errorf("short file after Crash(torn, %d) = %q, %t, want it empty", seed, content, ok)
		}
		if report.Bytes != 3100-n+17 || report.Writes != 2 || report.Names != 0 {
			t.Errorf("Crash(torn, %d) = %+v, want %d bytes of 2 files and no names lost", seed, report, 3100-n+17)
		}
		lengths[n] = true
	}
	if len(lengths) < 2 {
		t.Errorf("Crash(torn) with 8 seeds cut at %v, want different places", lengths)
	}
}

func TestReportCountsTheLoss(t *testing.T) {
	m := mount(t)
	m.write("f", "12345", false)
	m.write("g", "123", true)
	want := losefs.Report{Writes: 1, Bytes: 5, Names: 2}
	if got := m.Unsynced(); got != want {
		t.Errorf("Unsynced() = %+v, want %+v", got, want)
	}
	if got := m.crash(losefs.All, 0); got != want {
		t.Errorf("Crash(all) = %+v, want %+v", got, want)
	}
	if got := m.Unsynced(); got != (losefs.Report{}) {
		t.Errorf("Unsynced() after crash = %+v, want nothing", got)
	}
}
