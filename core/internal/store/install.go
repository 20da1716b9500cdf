package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/durable"
)

// Received is a complete snapshot on disk, not installed yet.
type Received struct {
	path string
	meta SnapshotMeta
}

// Meta says what the snapshot holds.
func (r *Received) Meta() SnapshotMeta { return r.meta }

// Discard removes the file.
func (r *Received) Discard() error {
	if err := os.RemoveAll(r.path); err != nil {
		return fmt.Errorf("discard snapshot: %w", err)
	}
	return nil
}

// Staged returns a snapshot that was received but not installed before the last
// stop; nil when there is none newer than the state. One that cannot be read, or
// is not newer, is removed.
func (s *Store) Staged() (*Received, error) {
	r := &Received{path: s.receivedPath()}
	if _, err := os.Stat(r.path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	index, _ := s.Applied()
	err := r.read()
	if err == nil && r.meta.Index > index {
		return r, nil
	}
	if err != nil {
		s.log.Warn("received snapshot is dropped", zap.Error(err))
	}
	return nil, r.Discard()
}

func (r *Received) read() (err error) {
	db, err := bbolt.Open(r.path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		m, err := readMeta(tx)
		r.meta = m.snapshot()
		return err
	})
}

// Install replaces the state by a received snapshot. It runs in the goroutine
// that applies. Observers are rebuilt, watchers end with kv.ErrCompacted. A
// snapshot that is not newer than the state is ErrOldSnapshot and discarded. Any
// other error is final.
func (s *Store) Install(r *Received) error {
	if err := s.failed(); err != nil {
		return fmt.Errorf("install snapshot: %w", err)
	}
	if index, _ := s.Applied(); r.meta.Index <= index {
		return errors.Join(fmt.Errorf("install snapshot %d at %d: %w", r.meta.Index, index, ErrOldSnapshot), r.Discard())
	}
	err := s.disk.swap(r.path, func() { s.revokeSnapshots(errSuperseded) }, s.reload)
	for _, o := range s.observers {
		if err == nil {
			err = o.Rebuild(s)
		}
	}
	if err != nil {
		err = fmt.Errorf("install snapshot: %w", err)
		s.fail(err)
		return err
	}
	s.seen.raise(uint64(r.meta.Revision))
	return nil
}

// revokeSnapshots ends those that are open.
func (s *Store) revokeSnapshots(err error) {
	for _, at := range []*pins{&s.peers, &s.backups} {
		if p := at.open.Load(); p != nil {
			p.revoke(err)
		}
	}
}

// swap puts the file at path in place of the current one. Before runs when no
// read or commit is under way any more, after when the new file is open.
func (d *disk) swap(path string, before func(), after func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	before()
	if err := d.db.Close(); err != nil {
		return err
	}
	// gofail: var storeBeforeSwap struct{}
	if err := os.Rename(path, d.path); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(d.path)); err != nil {
		return err
	}
	// gofail: var storeAfterSwap struct{}
	if err := d.open(); err != nil {
		return err
	}
	d.epoch++
	return after()
}
