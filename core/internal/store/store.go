package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Store is the applied state of one member. The zero value is not usable.
type Store struct {
	opts      Options
	log       *zap.Logger
	disk      *disk
	hub       *hub
	observers []Observer

	root     atomic.Pointer[Root]
	onDisk   atomic.Uint64 // index of the last commit, before anything is dropped from memory
	failure  atomic.Pointer[error]
	full     atomic.Bool // the disk
	lagBytes atomic.Int64
	lagOps   atomic.Int64

	seen    level // revision that observers have seen
	durable level // index that state.db holds

	mu   sync.Mutex // guards live
	live live

	peers, backups pins // what is open for members, and for operators

	dirty, now chan struct{} // wake the persister: soon, at once; capacity 1, a wake-up is enough
	quit, done chan struct{}
	closing    sync.Once
	closed     error
}

// live is what the goroutine that applies changes.
type live struct {
	machine *fsm.Machine
	decoder fsm.Decoder
	at      meta
	epoch   uint64   // swaps of state.db so far
	active  *batch   // collects
	sealed  []*batch // wait for their commit, oldest first
	revs    []revision
	// outcomes are those of the last Apply, scratch for the next.
	outcomes []fsm.Outcome
}

// revision is what one revision changed.
type revision struct {
	rev     kv.Revision
	changes []fsm.Change
}

// Open reads state.db, creating it when absent, loads the hot rows and starts
// the persister. It returns *LockedError when another process holds the file
// and *FormatError when a newer build wrote it.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	d, err := openDisk(&o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		opts: o, log: o.Logger, disk: d, hub: newHub(&o),
		peers: newPins(), backups: newPins(),
		dirty: make(chan struct{}, 1), now: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(o.Dir, partialFile)), s.reload()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), d.db.Close())
	}
	s.seen.raise(uint64(s.live.at.revision))
	go s.persist()
	return s, nil
}

// reload replaces everything in memory by what state.db holds. The caller holds
// the disk's lock or is alone.
func (s *Store) reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := fsm.NewMachine(coldReader{s})
	var at meta
	err := s.disk.db.View(func(tx *bbolt.Tx) (err error) {
		at, err = load(tx, m)
		return err
	})
	if err != nil {
		return fmt.Errorf("load %s: %w", s.disk.path, err)
	}
	s.live = live{machine: m, at: at, epoch: s.disk.epoch, active: new(batch)}
	s.lagBytes.Store(0)
	s.lagOps.Store(0)
	s.onDisk.Store(at.index)
	s.publish()
	s.hub.reset(at.revision)
	s.durable.raise(at.index)
	return nil
}

// Close persists what is applied, then closes the file. Streams end with
// kv.ErrClosed. It is idempotent.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		<-s.done
		s.fail(kv.ErrClosed)
		s.hub.close()
		if err := s.disk.close(func() { s.revokeSnapshots(kv.ErrClosed) }); err != nil {
			s.closed = fmt.Errorf("close store: %w", err)
		}
	})
	return s.closed
}

// fail makes every later write and wait end with err; the first error stays.
func (s *Store) fail(err error) {
	if !s.failure.CompareAndSwap(nil, &err) {
		return
	}
	s.seen.fail(err)
	s.durable.fail(err)
	if errors.Is(err, kv.ErrClosed) {
		return
	}
	s.log.Error("store failed", zap.Error(err))
	if s.opts.OnFail != nil {
		s.opts.OnFail(err)
	}
}

// failed returns nil for a store in good health.
func (s *Store) failed() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Observe registers o and calls its Rebuild. Call it before the first Apply.
func (s *Store) Observe(o Observer) error {
	s.observers = append(s.observers, o)
	if err := o.Rebuild(s); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	return nil
}

// Applied returns the index and term of the last applied entry.
func (s *Store) Applied() (index, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.at.index, s.live.at.term
}

// At says what a snapshot of the applied state would hold.
func (s *Store) At() SnapshotMeta {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.live.at.snapshot()
	m.ConfState = proto.CloneOf(m.ConfState)
	return m
}

// ConfState returns a copy of the last applied configuration.
func (s *Store) ConfState() *raftpb.ConfState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return proto.CloneOf(s.live.at.conf)
}

// Persisted returns the applied index that state.db holds durably.
func (s *Store) Persisted() uint64 { return s.durable.now.Load() }

// Lag returns what is applied but not yet durable in state.db: bytes of keys
// and values, and changed rows (ARC-S15).
func (s *Store) Lag() (bytes, ops int64) { return s.lagBytes.Load(), s.lagOps.Load() }

// ReadOnly reports that the disk is full: nothing is lost, but propose nothing
// until it is false again (REL-04).
func (s *Store) ReadOnly() bool { return s.full.Load() }

// Flush returns when everything applied before the call is durable in state.db.
func (s *Store) Flush(ctx context.Context) error {
	index, _ := s.Applied()
	wake(s.now)
	if err := s.durable.wait(ctx, index); err != nil {
		return fmt.Errorf("flush store: %w", err)
	}
	return nil
}

// Root returns the published state. It is immutable and may be kept.
func (s *Store) Root() *Root { return s.root.Load() }

// Wait returns when revision r is applied and every observer has seen it.
func (s *Store) Wait(ctx context.Context, r kv.Revision) error {
	return s.seen.wait(ctx, uint64(r))
}

// Table finds a declared table.
func (s *Store) Table(owner, name string) (fsm.Table, bool) {
	return s.Root().tables.ByName(owner, name)
}

// TableByID finds a declared table by its id.
func (s *Store) TableByID(id fsm.TableID) (fsm.Table, bool) { return s.Root().tables.ByID(id) }

// Tables returns the declared tables by id.
func (s *Store) Tables() []fsm.Table { return s.Root().tables.All() }

// Validate checks t against the limits of core/kv and the declared tables, as
// apply will. Call it before proposing.
func (s *Store) Validate(t *fsm.Txn) error { return fsm.Validate(t, s.Root().tables) }

// wake leaves a wake-up in a channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
