package store

import (
	"errors"
	"fmt"
)

// ErrOldSnapshot reports a snapshot that is not newer than the state.
var ErrOldSnapshot = errors.New("snapshot is older than the state")

// LockedError reports a state.db that another process holds open.
type LockedError struct{ Path string }

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("open %s: locked by another process", e.Path)
}

// FormatError reports a state.db or a snapshot written by a newer build.
type FormatError struct {
	Path         string // empty for a snapshot stream
	Found, Known uint64
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("read %s: format %d is newer than %d: upgrade this member", e.Path, e.Found, e.Known)
}
