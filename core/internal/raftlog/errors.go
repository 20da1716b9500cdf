package raftlog

import (
	"errors"
	"fmt"
)

// ErrClosed reports a call after Close.
var ErrClosed = errors.New("log is closed")

// CorruptError reports damage in what was durable. Nothing has been changed.
type CorruptError struct {
	Path   string
	Offset int64
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("log %s is damaged at %d: %s", e.Path, e.Offset, e.Reason)
}

// FormatError reports a log written by a newer build.
type FormatError struct {
	Path         string
	Found, Known uint64
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("log %s: format %d is newer than %d: upgrade this member", e.Path, e.Found, e.Known)
}

// SpaceError reports that the next segment could not be prepared, most likely
// for want of space. Nothing was written and the log goes on: the same call may
// be made again.
type SpaceError struct{ cause error }

// Error implements error.
func (e *SpaceError) Error() string { return e.cause.Error() }

// Unwrap returns what the file system said.
func (e *SpaceError) Unwrap() error { return e.cause }
