package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/durable"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// The files in the data directory.
const (
	FileName     = "state.db"
	ReceivedName = "state.db.received" // a whole snapshot, not installed yet
	partialFile  = "state.db.partial"
)

// diskFormat is written to every file; a file with a higher one is refused.
const diskFormat = 1

// The buckets of state.db beside those of the tables, and the keys of meta.
const (
	metaBucket   = "meta"
	tablesBucket = "tables"

	keyFormat   = "format"   // uint64
	keyApplied  = "applied"  // uint64 index, uint64 term
	keyRevision = "revision" // uint64
	keyConf     = "conf"     // raftpb.ConfState
	keyChanged  = "changed"  // a uvarint per table, by id
)

// errSuperseded reports rows that a snapshot has overtaken.
var errSuperseded = errors.New("superseded by a snapshot")

// meta is what state.db says about itself.
type meta struct {
	index, term uint64
	revision    kv.Revision
	conf        *raftpb.ConfState
	changed     []kv.Revision
}

// disk is the handle on state.db. Reads and commits share it, a swap waits for
// both.
type disk struct {
	path string
	opts bbolt.Options

	mu    sync.RWMutex // guards db and epoch
	db    *bbolt.DB
	epoch uint64 // swaps so far
}

func openDisk(o *Options) (*disk, error) {
	d := &disk{
		path: filepath.Join(o.Dir, FileName),
		opts: bbolt.Options{
			Timeout:         o.LockTimeout,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: o.InitialMmapSize,
			NoSync:          o.NoSync,
			NoStatistics:    true,
		},
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	return d, d.open()
}

// open opens the file at path and makes it ours if it is new. The caller holds
// mu or is alone.
func (d *disk) open() error {
	db, err := bbolt.Open(d.path, 0o600, &d.opts)
	if err != nil {
		return opened(d.path, err)
	}
	if err := db.Update(d.claim); err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", d.path, err), db.Close())
	}
	if err := durable.SyncDir(filepath.Dir(d.path)); err != nil {
		return errors.Join(err, db.Close())
	}
	d.db = db
	return nil
}

// opened says why a file could not be opened.
func opened(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return &LockedError{Path: path}
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// claim checks the format of a file, and writes it to a new one.
func (d *disk) claim(tx *bbolt.Tx) error {
	if b := tx.Bucket([]byte(metaBucket)); b != nil {
		return checkFormat(b.Get([]byte(keyFormat)), d.path)
	}
	b, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	return b.Put([]byte(keyFormat), binary.BigEndian.AppendUint64(nil, diskFormat))
}

func checkFormat(v []byte, path string) error {
	if len(v) != 8 {
		return errors.New("not a file of this store")
	}
	if f := binary.BigEndian.Uint64(v); f > diskFormat {
		return &FormatError{Path: path, Found: f, Known: diskFormat}
	}
	return nil
}

// view runs fn in a read transaction.
func (d *disk) view(fn func(tx *bbolt.Tx) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return closed(d.db.View(fn))
}

// closed gives the end of the store its own error.
func closed(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return kv.ErrClosed
	}
	return err
}

// pin opens a read transaction that outlives the call and hands it to fn before
// anyone can swap; whoever swaps or closes must end it first. If fn fails, it
// ends here.
func (d *disk) pin(fn func(tx *bbolt.Tx) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	tx, err := d.db.Begin(false)
	if err != nil {
		return closed(err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return nil
}

// update runs fn in a write transaction, then done, before anyone can swap. It
// returns errSuperseded when the file is no longer that of epoch.
func (d *disk) update(epoch uint64, fn func(tx *bbolt.Tx) error, done func()) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.epoch != epoch {
		return errSuperseded
	}
	if err := d.db.Update(fn); err != nil {
		return err
	}
	done()
	return nil
}

// close closes the file; before runs as in swap.
func (d *disk) close(before func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	before()
	return d.db.Close()
}

// readMeta returns zeros for a file that holds no state yet.
func readMeta(tx *bbolt.Tx) (meta, error) {
	b := tx.Bucket([]byte(metaBucket))
	if b == nil {
		return meta{}, errors.New("read meta: no such bucket")
	}
	var m meta
	var err error
	if m.index, m.term, err = readApplied(b); err != nil {
		return meta{}, err
	}
	if v := b.Get([]byte(keyRevision)); v != nil {
		if len(v) != 8 {
			return meta{}, fmt.Errorf("read meta: revision of %d bytes", len(v))
		}
		m.revision = kv.Revision(binary.BigEndian.Uint64(v))
	}
	m.conf = &raftpb.ConfState{}
	if err := proto.Unmarshal(b.Get([]byte(keyConf)), m.conf); err != nil {
		return meta{}, fmt.Errorf("read meta: configuration: %w", err)
	}
	for v := b.Get([]byte(keyChanged)); len(v) > 0; {
		r, n := binary.Uvarint(v)
		if n <= 0 || len(m.changed) >= fsm.MaxTables {
			return meta{}, errors.New("read meta: malformed revisions of tables")
		}
		m.changed, v = append(m.changed, kv.Revision(r)), v[n:]
	}
	return m, nil
}

// readApplied reads the applied index and term from the bucket meta.
func readApplied(b *bbolt.Bucket) (index, term uint64, err error) {
	v := b.Get([]byte(keyApplied))
	switch len(v) {
	case 0:
		return 0, 0, nil
	case 16:
		return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), nil
	}
	return 0, 0, fmt.Errorf("read meta: applied index of %d bytes", len(v))
}

func writeMeta(tx *bbolt.Tx, m *meta) error {
	b := tx.Bucket([]byte(metaBucket))
	applied := binary.BigEndian.AppendUint64(nil, m.index)
	applied = binary.BigEndian.AppendUint64(applied, m.term)
	conf, err := proto.Marshal(m.conf)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	var changed []byte
	for _, r := range m.changed {
		changed = binary.AppendUvarint(changed, uint64(r))
	}
	return errors.Join(
		b.Put([]byte(keyApplied), applied),
		b.Put([]byte(keyRevision), binary.BigEndian.AppendUint64(nil, uint64(m.revision))),
		b.Put([]byte(keyConf), conf),
		b.Put([]byte(keyChanged), changed),
	)
}
