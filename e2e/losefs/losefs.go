// Package losefs is a FUSE file system that forgets what was not synced.
//
// It shows the tree of a backing directory and keeps every write, resize,
// new name, rename and removal in memory until the program asks for
// durability: fsync or fdatasync of a file makes its bytes and its size
// durable, fsync of a directory makes the names in it durable. Crash cuts the
// power: unsynced changes vanish (all, a random part, or with a torn last
// write) and the mount comes back with what a disk would have kept.
//
// Invariants:
//   - the backing directory only ever holds durable state, so a test may look
//     at it at any time;
//   - the rules are those of POSIX, stricter than one real file system: a new
//     file needs the fsync of its directory, however often it was synced
//     itself;
//   - name changes of one directory become durable in their order; a rename
//     is atomic, also between directories;
//   - permission bits are durable at once, modification times never.
//
// There are no hard links, symbolic links and special files (ENOTSUP).
//
// The package owns the goroutines of the FUSE server from Mount to Unmount.
// A process must not map files of a file system it serves itself: a page
// fault stops the Go scheduler and with it the server.
//
// Start reading at disk.go (the model), then content.go (one file's bytes)
// and journal.go (names); node.go translates the kernel's requests.
package losefs

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Loss says which unsynced changes a crash takes away.
type Loss int

const (
	// All takes every unsynced change.
	All Loss = iota + 1
	// Subset takes a random part: single 4 KiB blocks of writes, but name
	// changes and shrinks only from some point on, as journals keep order.
	Subset
	// Torn keeps every change except that the last unsynced write of each
	// file is cut at a 512-byte boundary.
	Torn
)

// String returns the name of the kind of loss for test output.
func (l Loss) String() string {
	switch l {
	case All:
		return "all"
	case Subset:
		return "subset"
	case Torn:
		return "torn"
	}
	return fmt.Sprintf("Loss(%d)", int(l))
}

// Options tune a mount. The zero value is good.
type Options struct {
	// Log receives complaints of the FUSE library; nil discards them.
	Log io.Writer
}

// Report counts what a crash took away.
type Report struct {
	// Writes and Bytes are unsynced changes of file contents, lost in whole
	// or in part, and the bytes lost with them.
	Writes, Bytes int
	// Names are unsynced creations, renames and removals.
	Names int
}

// FS is one mounted file system. Its methods may be called concurrently, but
// Crash and Unmount only when no process uses the mount any more.
type FS struct {
	backing, mountpoint string
	options             Options
	disk                *disk
	server              *fuse.Server
}

// Mount shows the durable tree of backing at mountpoint. Both must be existing
// directories. It needs /dev/fuse and, as no helper program is used, the right
// to mount.
func Mount(backing, mountpoint string, options Options) (*FS, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("mount losefs: this machine has no FUSE: %w", err)
	}
	f := &FS{backing: backing, mountpoint: mountpoint, options: options}
	if _, err := os.Stat(mountpoint); errors.Is(err, syscall.ENOTCONN) {
		// A mount whose server died is still in the way.
		if err := unix.Unmount(mountpoint, unix.MNT_DETACH); err != nil {
			return nil, fmt.Errorf("mount losefs: detach the dead mount at %s: %w", mountpoint, err)
		}
	}
	if err := f.mount(); err != nil {
		return nil, err
	}
	return f, nil
}

// mount loads the backing tree and serves it.
func (f *FS) mount() error {
	d, err := loadDisk(f.backing)
	if err != nil {
		return fmt.Errorf("mount losefs: %w", err)
	}
	sink := f.options.Log
	if sink == nil {
		sink = io.Discard
	}
	// Only the kernel of this mount changes the tree, so whatever it has
	// cached stays true until the next mount.
	forever := time.Hour
	logger := log.New(sink, "losefs: ", 0) //nolint:forbidigo // the library takes no other
	server, err := fs.Mount(f.mountpoint, &node{disk: d, in: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName:                   f.backing,
			Name:                     "losefs",
			DirectMountStrict:        true,
			DisableXAttrs:            true,
			DisableReadDirPlus:       true,
			ExplicitDataCacheControl: true,
			MaxWrite:                 1 << 20,
			Logger:                   logger,
		},
		EntryTimeout:    &forever,
		AttrTimeout:     &forever,
		NullPermissions: true,
		Logger:          logger,
		RootStableAttr:  &fs.StableAttr{Ino: d.root.ino},
	})
	if err != nil {
		d.close()
		return fmt.Errorf("mount losefs at %s: %w", f.mountpoint, err)
	}
	f.disk, f.server = d, server
	return nil
}

// Crash cuts the power: it unmounts, drops unsynced changes as loss says, the
// random choices drawn from seed, and mounts again what is left. Limits and
// faults set before are gone. Every process that used the mount must have
// ended, else the unmount fails and nothing is lost.
func (f *FS) Crash(loss Loss, seed uint64) (Report, error) {
	if err := f.server.Unmount(); err != nil {
		return Report{}, fmt.Errorf("crash: unmount %s, still in use: %w", f.mountpoint, err)
	}
	report, err := f.disk.crash(loss, seed)
	f.disk.close()
	if err != nil {
		return report, fmt.Errorf("crash: %w", err)
	}
	return report, f.mount()
}

// Unmount writes everything back, as a clean unmount does, and ends the file
// system. It returns nil if the file system is unmounted already.
func (f *FS) Unmount() error {
	if f.server == nil {
		return nil
	}
	if err := f.server.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", f.mountpoint, err)
	}
	f.server = nil
	err := f.disk.syncAll()
	f.disk.close()
	return err
}

// LimitSpace lets files grow by n more bytes in total, counted in 4 KiB
// blocks, before writes and allocations answer ENOSPC. Space freed meanwhile
// counts. A negative n lifts the limit.
func (f *FS) LimitSpace(n int64) { f.disk.limitSpace(n) }

// FailSyncs makes the next n syncs of files answer EIO. As on Linux the data
// of a failed sync counts as clean afterwards: readers still see it, a later
// sync succeeds without writing it, a crash loses it.
func (f *FS) FailSyncs(n int) { f.disk.failSyncs(n) }

// SlowSyncs makes each sync take so much longer from now on.
func (f *FS) SlowSyncs(d time.Duration) { f.disk.slow.Store(int64(d)) }

// Unsynced counts what a crash that takes all would lose now.
func (f *FS) Unsynced() Report { return f.disk.unsynced() }
