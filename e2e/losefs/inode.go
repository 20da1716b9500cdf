package losefs

import (
	"os"
	"syscall"
	"time"
)

// inode is one file or directory of the live tree.
type inode struct {
	ino     uint64
	mode    uint32 // type and permission bits
	mtime   time.Time
	blocks  int64 // bytes charged to the space limit
	removed bool  // has no name in the live tree
	opens   int   // open handles
	queued  int   // journal entries that name it

	// base is the object in the backing tree. A new file has one without a
	// name; a new directory has none until its name is durable.
	base *os.File

	children map[string]*inode // of a directory
	content  *content          // of a file
}

func (in *inode) isDir() bool { return in.mode&syscall.S_IFMT == syscall.S_IFDIR }

// free closes the backing object once nothing can reach it any more.
func (in *inode) free() {
	if in.removed && in.opens == 0 && in.queued == 0 && in.base != nil {
		_ = in.base.Close() // nothing of it is needed
		in.base = nil
	}
}
