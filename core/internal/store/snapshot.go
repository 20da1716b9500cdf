package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

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
	pins *pins
	meta SnapshotMeta
	free sync.Once

	mu  sync.Mutex // guards what follows; never held while writing to a peer
	tx  *bbolt.Tx  // nil when revoked
	err error      // why
}

// pins lets one snapshot be open at a time.
type pins struct {
	token chan struct{} // capacity 1: full while one is open
	open  atomic.Pointer[Snapshot]
}

func newPins() pins { return pins{token: make(chan struct{}, 1)} }

// OpenSnapshot persists everything applied and pins it for another member. One
// is open at a time, others wait for it (ARC-S10); close it soon, since meanwhile
// state.db cannot reuse pages.
func (s *Store) OpenSnapshot(ctx context.Context) (*Snapshot, error) {
	return s.openSnapshot(ctx, &s.peers)
}

// OpenBackup is OpenSnapshot for an operator: it does not hold up members that
// need a snapshot meanwhile.
func (s *Store) OpenBackup(ctx context.Context) (*Snapshot, error) {
	return s.openSnapshot(ctx, &s.backups)
}

func (s *Store) openSnapshot(ctx context.Context, at *pins) (*Snapshot, error) {
	select {
	case at.token <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("open snapshot: %w", ctx.Err())
	}
	p, err := s.pin(ctx, at)
	if err != nil {
		<-at.token
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return p, nil
}

func (s *Store) pin(ctx context.Context, at *pins) (*Snapshot, error) {
	if err := s.failed(); err != nil {
		return nil, err
	}
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	p := &Snapshot{pins: at}
	err := s.disk.pin(func(tx *bbolt.Tx) error {
		m, err := readMeta(tx)
		if err != nil {
			return err
		}
		p.tx, p.meta = tx, m.snapshot()
		at.open.Store(p)
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
		p.pins.open.CompareAndSwap(p, nil)
		<-p.pins.token
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
func (p *Snapshot) WriteTo(w io.Writer) (n int64, err error) {
	for pieces := p.Pieces(); ; {
		b, err := pieces.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := w.Write(b)
		n += int64(k)
		if err != nil {
			return n, fmt.Errorf("write snapshot: %w", err)
		}
	}
}

// Pieces is the stream of a snapshot, pulled by one goroutine.
type Pieces struct {
	from   *Snapshot
	chunks *chunkWriter
	out    bytes.Buffer // what chunks has made of the last portion
	buf    []byte       // the portion
	at     position
	end    bool
}

// Pieces begins the stream, anew with each call.
func (p *Snapshot) Pieces() *Pieces {
	s := &Pieces{from: p, buf: binary.BigEndian.AppendUint64(make([]byte, 0, chunkSize), diskFormat)}
	s.chunks = newChunkWriter(&s.out)
	return s
}

// Next returns more of the stream, io.EOF at its end. The bytes are valid until
// the next call. It copies a portion of rows at a time, so that the transaction
// can be revoked while a slow reader takes them.
func (s *Pieces) Next() ([]byte, error) {
	if s.end {
		return nil, io.EOF
	}
	s.out.Reset()
	for s.out.Len() == 0 {
		var err error
		if s.buf, s.at, err = s.from.portion(s.buf, s.at); err != nil {
			return nil, fmt.Errorf("write snapshot: %w", err)
		}
		if s.end = s.at.end; s.end {
			s.buf = append(s.buf, itemEnd)
		}
		if _, err = s.chunks.Write(s.buf); err == nil && s.end {
			err = s.chunks.finish()
		}
		if err != nil {
			return nil, fmt.Errorf("write snapshot: %w", err)
		}
		s.buf = s.buf[:0]
	}
	return s.out.Bytes(), nil
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
