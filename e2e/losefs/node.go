package losefs

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node answers the kernel's requests about one inode.
type node struct {
	fs.Inode

	disk *disk
	in   *inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeAccesser  = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
)

// errno gives an error to the kernel.
func errno(err error) syscall.Errno {
	var no syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &no):
		return no
	}
	return syscall.EIO
}

// node returns the kernel's node of a child.
func (n *node) node(ctx context.Context, in *inode, out *fuse.EntryOut) *fs.Inode {
	in.fill(&out.Attr)
	return n.NewInode(ctx, &node{disk: n.disk, in: in}, fs.StableAttr{Mode: in.mode & syscall.S_IFMT, Ino: in.ino})
}

// fill describes an inode.
func (in *inode) fill(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = in.ino, in.mode, 1
	out.Uid, out.Gid = uint32(os.Geteuid()), uint32(os.Getegid())
	if in.isDir() {
		out.Nlink = 2
	} else {
		out.Size = uint64(in.content.size)
	}
	if in.removed {
		out.Nlink = 0
	}
	out.SetTimes(&in.mtime, &in.mtime, &in.mtime)
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	in := n.in.children[name]
	if in == nil {
		return nil, syscall.ENOENT
	}
	return n.node(ctx, in, out), 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	list := make([]fuse.DirEntry, 0, len(n.in.children))
	for name, in := range n.in.children {
		list = append(list, fuse.DirEntry{Name: name, Mode: in.mode, Ino: in.ino})
	}
	return fs.NewListDirStream(list), 0
}

func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	in, err := n.disk.create(n.in, name, mode)
	if err != nil {
		return nil, nil, 0, errno(err)
	}
	in.opens++
	return n.node(ctx, in, out), &handle{disk: n.disk, in: in}, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	in, err := n.disk.mkdir(n.in, name, mode)
	if err != nil {
		return nil, errno(err)
	}
	return n.node(ctx, in, out), 0
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return errno(n.disk.remove(n.in, name, false))
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return errno(n.disk.remove(n.in, name, true))
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, toName string, flags uint32) syscall.Errno {
	dir, ok := to.(*node)
	if !ok || flags&^unix.RENAME_NOREPLACE != 0 {
		return syscall.EINVAL
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if flags != 0 && dir.in.children[toName] != nil {
		return syscall.EEXIST
	}
	return errno(n.disk.rename(n.in, name, dir.in, toName))
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.in.fill(&out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if _, ok := in.GetUID(); ok {
		return syscall.ENOTSUP
	}
	if _, ok := in.GetGID(); ok {
		return syscall.ENOTSUP
	}
	if mode, ok := in.GetMode(); ok {
		n.in.mode = n.in.mode&syscall.S_IFMT | mode&0o7777
		if n.in.base != nil {
			if err := n.in.base.Chmod(os.FileMode(mode & 0o777)); err != nil {
				return errno(err)
			}
		}
	}
	if size, ok := in.GetSize(); ok {
		n.disk.resize(n.in, int64(size))
	}
	if mtime, ok := in.GetMTime(); ok {
		n.in.mtime = mtime
	} else {
		n.in.mtime = time.Now()
	}
	n.in.fill(&out.Attr)
	return 0
}

// Access leaves permissions to nobody: whoever may mount may do everything.
// That it is not implemented also keeps chdir of a new process from waiting
// for this server.
func (n *node) Access(context.Context, uint32) syscall.Errno { return syscall.ENOSYS }

// Statfs shows the limit of LimitSpace, else the file system below.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if n.disk.limit >= 0 {
		out.Bsize, out.Frsize, out.NameLen = pageSize, pageSize, 255
		out.Blocks = uint64(n.disk.limit / pageSize)
		out.Bfree = uint64(max(n.disk.limit-n.disk.used, 0) / pageSize)
		out.Bavail = out.Bfree
		return 0
	}
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(n.disk.root.base.Fd()), &st); err != nil {
		return errno(err)
	}
	out.FromStatfsT(&st)
	return 0
}

// Fsync answers for directories and files alike.
func (n *node) Fsync(ctx context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	if d := time.Duration(n.disk.slow.Load()); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return syscall.EINTR
		}
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return errno(n.disk.sync(n.in))
}
