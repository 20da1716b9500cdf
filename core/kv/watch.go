package kv

import "context"

// Watch asks for the changes of one hot table below a prefix.
type Watch struct {
	Table  string
	Prefix []byte
	// After is the revision the caller has seen; 0 means from now on, and then
	// the first batch is a mark that carries the current revision. A revision
	// older than what is remembered is ErrCompacted.
	After    Revision
	Previous bool // deliver the replaced record too
}

// Event is one changed row.
type Event struct {
	Record   *Record // for a delete: Key and Modified only
	Previous *Record // only when asked for; nil for a new row
	Deleted  bool
}

// Batch holds the events of whole revisions: a revision is never split. An
// empty batch is a progress mark: everything up to Revision has been delivered.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Stream is pulled by one goroutine. Next returns what is there and blocks only
// when there is nothing; a cancelled Next loses nothing. Close is idempotent
// and unblocks Next, which then returns ErrClosed. A stream that fell too far
// behind ends with ErrCompacted.
type Stream interface {
	Next(ctx context.Context) (Batch, error)
	Close() error
}
