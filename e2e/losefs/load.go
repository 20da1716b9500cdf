package losefs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loadDisk reads a backing tree.
func loadDisk(backing string) (*disk, error) {
	d := &disk{files: make(map[*inode]struct{}), limit: -1}
	root, err := d.load(unix.AT_FDCWD, backing)
	if err != nil {
		d.close()
		return nil, fmt.Errorf("load backing tree %s: %w", backing, err)
	}
	if !root.isDir() {
		_ = root.base.Close() // only read
		return nil, fmt.Errorf("load backing tree %s: not a directory", backing)
	}
	d.root = root
	return d, nil
}

// load opens one object and, if it is a directory, everything below it.
func (d *disk) load(dir int, name string) (*inode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fmt.Errorf("stat %s: %w", name, err)
	}
	flags := unix.O_RDWR
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	default:
		return nil, fmt.Errorf("load %s: neither file nor directory", name)
	}
	fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	d.nextIno++
	in := &inode{ino: d.nextIno, mode: st.Mode, base: os.NewFile(uintptr(fd), name)}
	info, err := in.base.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", name, err)
	}
	in.mtime = info.ModTime()
	if !in.isDir() {
		in.content = newContent(in.base, st.Size)
		in.blocks = roundUp(st.Size)
		d.used += in.blocks
		return in, nil
	}
	in.children = make(map[string]*inode)
	names, err := in.base.Readdirnames(-1)
	if err != nil {
		return in, fmt.Errorf("read directory %s: %w", name, err)
	}
	for _, child := range names {
		if in.children[child], err = d.load(fd, child); err != nil {
			return in, err
		}
	}
	return in, nil
}

// close closes the backing objects; a disk is of no use afterwards.
func (d *disk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	closeTree(d.root)
	for in := range d.files {
		closeTree(in)
	}
	for _, e := range d.journal {
		closeTree(e.child)
		closeTree(e.replaced)
	}
}

func closeTree(in *inode) {
	if in == nil {
		return
	}
	for _, child := range in.children {
		closeTree(child)
	}
	if in.base != nil {
		_ = in.base.Close() // everything that is to stay was written
		in.base = nil
	}
}
