package store

import (
	"context"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Store is the applied state of one member. The zero value is not usable.
type Store struct{}

// Open reads state.db, creating it when absent, loads the hot rows and starts
// the persister. It returns *LockedError when another process holds the file
// and *FormatError when a newer build wrote it.
func Open(o Options) (*Store, error) { return nil, nil }

// Close persists what is applied, then closes the file. Streams end with
// kv.ErrClosed. It is idempotent.
func (s *Store) Close() error { return nil }

// Observe registers o and calls its Rebuild. Call it before the first Apply.
func (s *Store) Observe(o Observer) error { return nil }

// Apply applies entries in order and returns one Outcome per command. Entries
// at or below the applied index are skipped. An error is final: the outcomes
// returned beside it are applied, the rest is not.
func (s *Store) Apply(entries []Committed) ([]fsm.Outcome, error) { return nil, nil }

// ApplyConf records the configuration after the change at index; a nil cs
// records the index only.
func (s *Store) ApplyConf(index, term uint64, cs *raftpb.ConfState) error { return nil }

// Applied returns the index and term of the last applied entry.
func (s *Store) Applied() (index, term uint64) { return 0, 0 }

// ConfState returns a copy of the last applied configuration.
func (s *Store) ConfState() *raftpb.ConfState { return nil }

// Persisted returns the applied index that state.db holds durably.
func (s *Store) Persisted() uint64 { return 0 }

// Lag returns what is applied but not yet durable in state.db: bytes of keys
// and values, and changed rows (ARC-S15).
func (s *Store) Lag() (bytes, ops int64) { return 0, 0 }

// ReadOnly reports that the disk is full: nothing is lost, but propose nothing
// until it is false again (REL-04).
func (s *Store) ReadOnly() bool { return false }

// Flush returns when everything applied before the call is durable in state.db.
func (s *Store) Flush(ctx context.Context) error { return nil }

// Root returns the published state. It is immutable and may be kept.
func (s *Store) Root() *Root { return nil }

// Wait returns when revision r is applied and every observer has seen it.
func (s *Store) Wait(ctx context.Context, r kv.Revision) error { return nil }

// Table finds a declared table.
func (s *Store) Table(owner, name string) (fsm.Table, bool) { return fsm.Table{}, false }

// TableByID finds a declared table by its id.
func (s *Store) TableByID(id fsm.TableID) (fsm.Table, bool) { return fsm.Table{}, false }

// Validate checks t against the limits of core/kv and the declared tables, as
// apply will. Call it before proposing.
func (s *Store) Validate(t *fsm.Txn) error { return nil }

// ColdGet reads one row of a cold table by its absolute key as it is now; nil
// when absent.
func (s *Store) ColdGet(key []byte) (*kv.Record, error) { return nil, nil }

// ColdScan is Root.Scan for cold tables, as they are now. fn must be quick: it
// holds a read transaction.
func (s *Store) ColdScan(prefix, from []byte, descending bool, fn func(*kv.Record) bool) error {
	return nil
}

// Watch opens a stream over the events of one hot table; see kv.Watch for After
// and Previous. It returns kv.ErrCompacted when After is no longer remembered.
func (s *Store) Watch(w WatchOptions) (kv.Stream, error) { return nil, nil }

// Root is one immutable state of all hot tables.
type Root struct{}

// Revision is the last revision of the state.
func (r *Root) Revision() kv.Revision { return 0 }

// Index is the last applied raft index of the state.
func (r *Root) Index() uint64 { return 0 }

// Get returns the hot row with an absolute key, nil when absent.
func (r *Root) Get(key []byte) *kv.Record { return nil }

// Scan calls fn for the hot rows whose absolute key has the prefix, in key
// order, until it returns false. From, when not nil, is an absolute key to
// start at, included.
func (r *Root) Scan(prefix, from []byte, descending bool, fn func(*kv.Record) bool) {}

// Changed returns the revision of the last change in a table, deletes included.
func (r *Root) Changed(id fsm.TableID) kv.Revision { return 0 }
