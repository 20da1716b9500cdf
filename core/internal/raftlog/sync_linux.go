package raftlog

import (
	"os"
	"syscall"
)

// fdatasync makes the data of a file durable, and its size if that changed.
func fdatasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
