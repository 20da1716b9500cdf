package losefs

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// disk is the model behind a mount: the live tree, what of it is not durable,
// and the faults set. It knows nothing of FUSE.
type disk struct {
	// mu guards everything below and in the inodes.
	mu      sync.Mutex
	root    *inode
	files   map[*inode]struct{} // that may hold unsynced changes
	journal journal
	nextIno uint64

	used     int64 // bytes charged by all files
	limit    int64 // for used; negative: none
	badSyncs int   // this many file syncs fail

	slow atomic.Int64 // nanoseconds that each sync takes longer
}

// create makes an empty file.
func (d *disk) create(dir *inode, name string, mode uint32) (*inode, error) {
	if dir.children[name] != nil {
		return nil, syscall.EEXIST
	}
	fd, err := unix.Openat(int(d.root.base.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, mode&0o7777)
	if err != nil {
		return nil, err
	}
	base := os.NewFile(uintptr(fd), name)
	return d.add(dir, name, &inode{mode: syscall.S_IFREG | mode&0o7777, base: base, content: newContent(base, 0)}), nil
}

// mkdir makes an empty directory.
func (d *disk) mkdir(dir *inode, name string, mode uint32) (*inode, error) {
	if dir.children[name] != nil {
		return nil, syscall.EEXIST
	}
	return d.add(dir, name, &inode{mode: syscall.S_IFDIR | mode&0o7777, children: make(map[string]*inode)}), nil
}

// add names a new inode.
func (d *disk) add(dir *inode, name string, in *inode) *inode {
	d.nextIno++
	in.ino, in.mtime = d.nextIno, time.Now()
	dir.children[name] = in
	d.record(&entry{kind: entryAdd, dir: dir, name: name, child: in})
	return in
}

// record appends a change of names to the journal.
func (d *disk) record(e *entry) {
	e.dir.mtime = time.Now()
	e.child.queued++
	if e.replaced != nil {
		e.replaced.queued++
	}
	d.journal = append(d.journal, e)
}

// remove takes a name away; wantDir tells rmdir from unlink.
func (d *disk) remove(dir *inode, name string, wantDir bool) error {
	in := dir.children[name]
	if err := removable(in, wantDir); err != nil {
		return err
	}
	delete(dir.children, name)
	d.record(&entry{kind: entryRemove, dir: dir, name: name, child: in})
	d.drop(in)
	return nil
}

// removable returns why an inode may not lose its name.
func removable(in *inode, wantDir bool) error {
	switch {
	case in == nil:
		return syscall.ENOENT
	case wantDir && !in.isDir():
		return syscall.ENOTDIR
	case !wantDir && in.isDir():
		return syscall.EISDIR
	case len(in.children) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// drop notes that an inode has no name any more.
func (d *disk) drop(in *inode) {
	in.removed = true
	d.used -= in.blocks
	in.blocks = 0
	in.free()
}

// rename moves a name, replacing what has the new one.
func (d *disk) rename(dir *inode, name string, to *inode, toName string) error {
	in, replaced := dir.children[name], to.children[toName]
	if in == nil {
		return syscall.ENOENT
	}
	if in == replaced {
		return nil
	}
	if replaced != nil {
		if err := removable(replaced, in.isDir()); err != nil {
			return err
		}
	}
	delete(dir.children, name)
	to.children[toName] = in
	to.mtime = time.Now()
	d.record(&entry{kind: entryMove, dir: dir, name: name, to: to, toName: toName, child: in, replaced: replaced})
	if replaced != nil {
		d.drop(replaced)
	}
	return nil
}

// write puts data into a file.
func (d *disk) write(in *inode, data []byte, off int64) error {
	if err := d.charge(in, off+int64(len(data))); err != nil {
		return err
	}
	d.touch(in)
	return in.content.write(data, off)
}

// resize sets the size of a file, without taking space.
func (d *disk) resize(in *inode, size int64) {
	d.touch(in)
	in.content.resize(size)
	if blocks := roundUp(size); blocks < in.blocks && !in.removed {
		d.used -= in.blocks - blocks
		in.blocks = blocks
	}
}

// allocate reserves space up to end and, if grow is set, makes the file that
// long.
func (d *disk) allocate(in *inode, end int64, grow bool) error {
	if err := d.charge(in, end); err != nil {
		return err
	}
	d.touch(in)
	if grow && end > in.content.size {
		in.content.resize(end)
	}
	return nil
}

// charge takes the space that a file of the given length needs.
func (d *disk) charge(in *inode, end int64) error {
	more := roundUp(end) - in.blocks
	if more <= 0 || in.removed {
		return nil
	}
	if d.limit >= 0 && d.used+more > d.limit {
		return syscall.ENOSPC
	}
	d.used += more
	in.blocks += more
	return nil
}

func (d *disk) touch(in *inode) {
	in.mtime = time.Now()
	d.files[in] = struct{}{}
}

// sync makes the bytes of a file, or the names in a directory, durable.
func (d *disk) sync(in *inode) error {
	if in.isDir() {
		d.journal.sync(in)
		return d.flushNames()
	}
	if d.badSyncs > 0 {
		d.badSyncs--
		in.content.forget()
		return syscall.EIO
	}
	if err := in.content.sync(); err != nil {
		return err
	}
	delete(d.files, in)
	return nil
}

func (d *disk) flushNames() error {
	left, err := d.journal.flush()
	d.journal = left
	return err
}

// closed notes that a handle of a file was closed.
func (d *disk) closed(in *inode) {
	in.opens--
	if in.removed && in.opens == 0 {
		delete(d.files, in)
	}
	in.free()
}

// syncAll makes everything durable.
func (d *disk) syncAll() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for in := range d.files {
		if in.base == nil {
			continue
		}
		if err := in.content.sync(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	for _, e := range d.journal {
		e.synced = true
	}
	if err := d.flushNames(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func (d *disk) limitSpace(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = -1
	if n >= 0 {
		d.limit = d.used + n
	}
}

func (d *disk) failSyncs(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.badSyncs = n
}

// roundUp returns the space that n bytes take.
func roundUp(n int64) int64 { return (n + pageSize - 1) / pageSize * pageSize }
