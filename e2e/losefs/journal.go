package losefs

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// entryKind tells what happens to a name.
type entryKind int

const (
	entryAdd entryKind = iota + 1
	entryRemove
	entryMove
)

// entry is one change of names that the backing directory does not have yet.
type entry struct {
	kind     entryKind
	dir      *inode // where name is
	name     string
	to       *inode // entryMove: where the name goes
	toName   string
	child    *inode
	replaced *inode // entryMove: what had the new name, or nil
	synced   bool   // durable as soon as its directory is
}

// dirs are the directories whose contents the entry changes or depends on: a
// directory can only be removed durably once it is durably empty.
func (e *entry) dirs() []*inode {
	dirs := []*inode{e.dir}
	if e.to != nil && e.to != e.dir {
		dirs = append(dirs, e.to)
	}
	if e.kind == entryRemove && e.child.isDir() {
		dirs = append(dirs, e.child)
	}
	if e.replaced != nil && e.replaced.isDir() {
		dirs = append(dirs, e.replaced)
	}
	return dirs
}

// attached reports whether every directory concerned exists in the backing
// tree.
func (e *entry) attached() bool {
	return !slices.ContainsFunc(e.dirs(), func(d *inode) bool { return d.base == nil })
}

// apply performs the change on the backing tree.
func (e *entry) apply() error {
	if err := e.perform(); err != nil {
		return fmt.Errorf("change name %s in backing directory: %w", e.name, err)
	}
	return nil
}

func (e *entry) perform() error {
	dir := int(e.dir.base.Fd())
	switch e.kind {
	case entryAdd:
		return e.add(dir)
	case entryRemove:
		if e.child.isDir() {
			return unix.Unlinkat(dir, e.name, unix.AT_REMOVEDIR)
		}
		return unix.Unlinkat(dir, e.name, 0)
	case entryMove:
		return unix.Renameat(dir, e.name, int(e.to.base.Fd()), e.toName)
	}
	return nil
}

// add gives the nameless backing file its name, or makes the directory.
func (e *entry) add(dir int) error {
	if !e.child.isDir() {
		file := "/proc/self/fd/" + strconv.Itoa(int(e.child.base.Fd()))
		return unix.Linkat(unix.AT_FDCWD, file, dir, e.name, unix.AT_SYMLINK_FOLLOW)
	}
	if err := unix.Mkdirat(dir, e.name, e.child.mode&0o7777); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, e.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	e.child.base = os.NewFile(uintptr(fd), e.name)
	return nil
}

// journal is the ordered list of name changes that are not durable.
type journal []*entry

// sync marks what an fsync of dir makes durable: the changes in dir, and what
// those rest upon. A move between directories takes along the earlier changes
// of both, and the names of both if those are new; a plain fsync never makes
// the name of dir itself durable.
func (j journal) sync(dir *inode) {
	changed := map[*inode]bool{dir: true}
	reachable := map[*inode]bool{}
	for _, e := range slices.Backward(j) {
		names := e.kind == entryAdd && reachable[e.child]
		if !names && !slices.ContainsFunc(e.dirs(), func(d *inode) bool { return changed[d] }) {
			continue
		}
		e.synced = true
		for _, d := range e.dirs() {
			changed[d] = true
			if d != dir {
				reachable[d] = true
			}
		}
	}
}

// flush applies, in order, the synced changes whose directories exist in the
// backing tree and returns the others.
func (j journal) flush() (journal, error) {
	var left journal
	for i, e := range j {
		if !e.synced || !e.attached() {
			left = append(left, e)
			continue
		}
		if err := e.apply(); err != nil {
			return append(left, j[i:]...), err
		}
		e.child.queued--
		e.child.free()
		if e.replaced != nil {
			e.replaced.queued--
			e.replaced.free()
		}
	}
	return left, nil
}

// unsynced counts the changes that no fsync covered.
func (j journal) unsynced() int {
	n := 0
	for _, e := range j {
		if !e.synced {
			n++
		}
	}
	return n
}
