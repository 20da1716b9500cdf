package store

import (
	"context"
	"io"
)

// OpenSnapshot persists everything applied and pins it for sending. One is open
// at a time, others wait for it (ARC-S10); close it soon, since meanwhile
// state.db cannot reuse pages.
func (s *Store) OpenSnapshot(ctx context.Context) (*Snapshot, error) { return nil, nil }

// Snapshot is a pinned state of state.db.
type Snapshot struct{}

// Meta says what the snapshot holds.
func (p *Snapshot) Meta() SnapshotMeta { return SnapshotMeta{} }

// WriteTo streams the snapshot. It can be called again.
func (p *Snapshot) WriteTo(w io.Writer) (int64, error) { return 0, nil }

// Close unpins the state. It is idempotent.
func (p *Snapshot) Close() error { return nil }

// Receive reads a snapshot into a new file beside state.db and makes it durable
// without touching the state. It may run beside Apply, in any goroutine. A
// later Receive replaces what an earlier one left.
func (s *Store) Receive(ctx context.Context, r io.Reader) (*Received, error) { return nil, nil }

// Staged returns a snapshot that was received but not installed before the last
// stop; nil when there is none newer than the state.
func (s *Store) Staged() *Received { return nil }

// Install replaces the state by a received snapshot. It runs in the goroutine
// that applies. Observers are rebuilt, watchers end with kv.ErrCompacted. A
// snapshot that is not newer than the state is ErrOldSnapshot and discarded.
func (s *Store) Install(r *Received) error { return nil }

// Received is a complete snapshot on disk, not installed yet.
type Received struct{}

// Meta says what the snapshot holds.
func (r *Received) Meta() SnapshotMeta { return SnapshotMeta{} }

// Discard removes the file.
func (r *Received) Discard() error { return nil }
