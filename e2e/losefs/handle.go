package losefs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// handle is one open file.
type handle struct {
	disk *disk
	in   *inode
}

var (
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.FileReader    = (*handle)(nil)
	_ fs.FileWriter    = (*handle)(nil)
	_ fs.FileAllocater = (*handle)(nil)
	_ fs.FileReleaser  = (*handle)(nil)
)

// Open keeps what the kernel has cached of the file: writes go through that
// cache to us, so mapped memory and reads always agree.
func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.in.opens++
	return &handle{disk: n.disk, in: n.in}, fuse.FOPEN_KEEP_CACHE, 0
}

func (h *handle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	n, err := h.in.content.read(dest, off)
	if err != nil {
		return nil, errno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (h *handle) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.write(h.in, data, off); err != nil {
		return 0, errno(err)
	}
	return uint32(len(data)), 0
}

func (h *handle) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	const clearing = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE
	if mode&^(clearing|unix.FALLOC_FL_KEEP_SIZE) != 0 {
		return syscall.EOPNOTSUPP
	}
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if mode&unix.FALLOC_FL_PUNCH_HOLE == 0 {
		grow := mode&unix.FALLOC_FL_KEEP_SIZE == 0
		if err := h.disk.allocate(h.in, int64(off+size), grow); err != nil {
			return errno(err)
		}
	}
	if mode&clearing == 0 {
		return 0
	}
	h.disk.touch(h.in)
	return errno(h.in.content.zero(int64(off), int64(size)))
}

func (h *handle) Release(context.Context) syscall.Errno {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.disk.closed(h.in)
	return 0
}
