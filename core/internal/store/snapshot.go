package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/bbolt"
)

// The payload of a snapshot: 8 bytes of format, then items, each with one byte
// of kind. A bucket is a uvarint length and its name; a row is two lengths, key
// and value and belongs to the bucket before it. Buckets and rows are in order.
const (
	itemBucket = 'b'
	itemRow    = 'r'
	itemEnd    = 'e'
)

// Snapshot is a pinned state of state.db.
type Snapshot struct {
	store *Store
	meta  SnapshotMeta
	free  sync.Once

	mu  sync.Mutex // guards what follows; never held while writing to a peer
	tx  *bbolt.Tx  // nil when revoked
	err error      // why
}

// OpenSnapshot persists everything applied and pins it for sending. One is open
// at a time, others wait for it (ARC-S10); close it soon, since meanwhile
// state.db cannot reuse pages.
func (s *Store) OpenSnapshot(ctx context.Context) (*Snapshot, error) {
	select {
	case s.snapshots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("open snapshot: %w", ctx.Err())
	}
	p, err := s.pin(ctx)
	if err != nil {
		<-s.snapshots
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return p, nil
}

func (s *Store) pin(ctx context.Context) (*Snapshot, error) {
	if err := s.failed(); err != nil {
		return nil, err
	}
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	p := &Snapshot{store: s}
	err := s.disk.pin(func(tx *bbolt.Tx) error {
		m, err := readMeta(tx)
		if err != nil {
			return err
		}
		p.tx, p.meta = tx, m.snapshot()
		s.snapshot.Store(p)
		return nil
	})
	return p, err
}

func (m *meta) snapshot() SnapshotMeta {
	return SnapshotMeta{Index: m.index, Term: m.term, Revision: m.revision, ConfState: m.conf}
}

// Meta says what the snapshot holds.
func (p *Snapshot) Meta() SnapshotMeta { return p.meta }

// Close unpins the state. It is idempotent.
func (p *Snapshot) Close() error {
	p.revoke(fmt.Errorf("snapshot: %w", io.ErrClosedPipe))
	p.free.Do(func() {
		p.store.snapshot.CompareAndSwap(p, nil)
		<-p.store.snapshots
	})
	return nil
}

// revoke ends the transaction; WriteTo then returns err.
func (p *Snapshot) revoke(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tx == nil {
		return
	}
	p.err = err
	if e := p.tx.Rollback(); e != nil {
		p.err = e
	}
	p.tx = nil
}

// WriteTo streams the snapshot. It can be called again.
func (p *Snapshot) WriteTo(w io.Writer) (int64, error) {
	c := newChunkWriter(w)
	err := p.writeItems(c)
	if err == nil {
		err = c.finish()
	}
	if err != nil {
		return c.n, fmt.Errorf("write snapshot: %w", err)
	}
	return c.n, nil
}

// writeItems copies a portion of rows at a time, so that the transaction can be
// revoked while a slow peer takes them.
func (p *Snapshot) writeItems(w io.Writer) error {
	buf := binary.BigEndian.AppendUint64(make([]byte, 0, chunkSize), diskFormat)
	var at position
	for {
		var err error
		buf, at, err = p.portion(buf, at)
		if err != nil {
			return err
		}
		if at.end {
			buf = append(buf, itemEnd)
		}
		if _, err := w.Write(buf); err != nil || at.end {
			return err
		}
		buf = buf[:0]
	}
}

// position is where the next portion starts.
type position struct {
	bucket, row []byte // row: nil for the first of the bucket
	end         bool
}

// portion appends items until buf holds a chunk.
func (p *Snapshot) portion(buf []byte, at position) ([]byte, position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tx == nil {
		return nil, at, p.err
	}
	buckets := p.tx.Cursor()
	for name, _ := buckets.Seek(at.bucket); name != nil; name, _ = buckets.Next() {
		rows := p.tx.Bucket(name).Cursor()
		var k, v []byte
		if at.row != nil {
			k, v = rows.Seek(at.row)
		} else {
			buf = appendField(append(buf, itemBucket), name)
			k, v = rows.First()
		}
		for ; k != nil; k, v = rows.Next() {
			if len(buf) >= chunkSize {
				return buf, position{bucket: clone(name), row: clone(k)}, nil
			}
			buf = binary.AppendUvarint(append(buf, itemRow), uint64(len(k)))
			buf = append(appendLength(buf, v), k...)
			buf = append(buf, v...)
		}
		at.row = nil
	}
	return buf, position{end: true}, nil
}

func appendLength(dst, b []byte) []byte { return binary.AppendUvarint(dst, uint64(len(b))) }

func appendField(dst, b []byte) []byte { return append(appendLength(dst, b), b...) }

func clone(b []byte) []byte { return append([]byte{}, b...) }
