package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/durable"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

const (
	receiveCommit = 8 << 20 // bytes of rows in one commit of a new file
	maxBucketName = 16
	maxItemKey    = kv.MaxKey
	maxItemValue  = kv.MaxValue + maxRowHead
)

// Receive reads a snapshot into a new file beside state.db and makes it durable
// without touching the state. It may run beside Apply, in any goroutine, but
// once at a time. A later Receive replaces what an earlier one left. Memory stays
// within a few values' size, whatever r holds.
func (s *Store) Receive(ctx context.Context, r io.Reader) (*Received, error) {
	if err := s.failed(); err != nil {
		return nil, fmt.Errorf("receive snapshot: %w", err)
	}
	partial := filepath.Join(s.opts.Dir, partialFile)
	m, err := receive(ctx, r, partial)
	if err == nil {
		err = s.keep(partial)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("receive snapshot: %w", err), os.RemoveAll(partial))
	}
	return &Received{path: s.receivedPath(), meta: m.snapshot()}, nil
}

// keep gives a complete, durable file the name under which it is found again.
func (s *Store) keep(partial string) error {
	// gofail: var storeBeforeSnapshotSave struct{}
	if err := os.Rename(partial, s.receivedPath()); err != nil {
		return err
	}
	if err := durable.SyncDir(s.opts.Dir); err != nil {
		return err
	}
	// gofail: var storeAfterSnapshotSave struct{}
	return nil
}

func (s *Store) receivedPath() string { return filepath.Join(s.opts.Dir, ReceivedName) }

// receive writes a snapshot to a new file at path and syncs it.
func receive(ctx context.Context, r io.Reader, path string) (m meta, err error) {
	if err := os.RemoveAll(path); err != nil {
		return meta{}, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
	})
	if err != nil {
		return meta{}, err
	}
	in := receiver{ctx: ctx, in: newChunkReader(r), db: db}
	if err := in.all(); err != nil {
		return meta{}, errors.Join(err, in.abort(), db.Close())
	}
	if err := db.Sync(); err != nil {
		return meta{}, errors.Join(err, db.Close())
	}
	err = db.View(func(tx *bbolt.Tx) (err error) {
		if m, err = readMeta(tx); err != nil {
			return err
		}
		return checkFormat(tx.Bucket([]byte(metaBucket)).Get([]byte(keyFormat)), "snapshot")
	})
	return m, errors.Join(err, db.Close())
}

// receiver fills one file.
type receiver struct {
	ctx    context.Context
	in     *chunkReader
	db     *bbolt.DB
	tx     *bbolt.Tx // nil between commits
	size   int       // bytes in tx
	name   []byte    // of the bucket
	bucket *bbolt.Bucket
	last   []byte // key
}

func (c *receiver) all() error {
	var format [8]byte
	if _, err := io.ReadFull(c.in, format[:]); err != nil {
		return cut(err)
	}
	if f := binary.BigEndian.Uint64(format[:]); f > diskFormat {
		return &FormatError{Path: "snapshot", Found: f, Known: diskFormat}
	}
	for {
		kind, err := c.in.ReadByte()
		if err != nil {
			return cut(err)
		}
		switch kind {
		case itemBucket:
			err = c.startBucket()
		case itemRow:
			err = c.row()
		case itemEnd:
			return c.finish()
		default:
			err = fmt.Errorf("%w: item of kind %d", errSnapshot, kind)
		}
		if err != nil {
			return err
		}
	}
}

// finish wants the checksum of the whole to be right before the last commit.
func (c *receiver) finish() error {
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("%w: it goes on behind its end", errSnapshot)
		}
		return err
	}
	return c.commit()
}

func (c *receiver) startBucket() error {
	name, err := c.field(maxBucketName)
	if err != nil {
		return err
	}
	if bytes.Compare(name, c.name) <= 0 {
		return fmt.Errorf("%w: bucket %q out of order", errSnapshot, name)
	}
	if _, table := bucketTable(name); !table && string(name) != metaBucket && string(name) != tablesBucket {
		return fmt.Errorf("%w: bucket %q", errSnapshot, name)
	}
	c.name, c.bucket, c.last = name, nil, nil
	return c.begin()
}

func (c *receiver) row() error {
	klen, err := c.length(maxItemKey)
	if err != nil {
		return err
	}
	vlen, err := c.length(maxItemValue)
	if err != nil {
		return err
	}
	buf, err := c.bytes(klen + vlen)
	if err != nil {
		return err
	}
	key, value := buf[:klen:klen], buf[klen:]
	if c.name == nil || bytes.Compare(key, c.last) <= 0 {
		return fmt.Errorf("%w: row out of order", errSnapshot)
	}
	if err := checkItem(c.name, key, value); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.bucket.Put(key, value); err != nil {
		return err
	}
	c.last = key
	if c.size += len(buf); c.size >= receiveCommit {
		return c.commit()
	}
	return nil
}

// checkItem wants what load will read without an error.
func checkItem(bucket, key, value []byte) error {
	id, table := bucketTable(bucket)
	switch {
	case string(bucket) == tablesBucket:
		_, err := readTable(key, value)
		return err
	case !table:
		return nil // looked at when all are there
	}
	r, err := parseRow(value)
	if err == nil && id == fsm.LeaseTable && (len(key) != 8 || len(r.Value) != 8) {
		err = errRow
	}
	return err
}

// begin makes sure that there is a transaction and the bucket in it.
func (c *receiver) begin() (err error) {
	if c.tx == nil {
		if err = c.ctx.Err(); err != nil {
			return err
		}
		if c.tx, err = c.db.Begin(true); err != nil {
			return err
		}
		c.bucket = nil
	}
	if c.bucket == nil {
		if c.bucket, err = c.tx.CreateBucketIfNotExists(c.name); err == nil {
			c.bucket.FillPercent = 0.95
		}
	}
	return err
}

func (c *receiver) commit() error {
	if c.tx == nil {
		return nil
	}
	tx := c.tx
	c.tx, c.size = nil, 0
	return tx.Commit()
}

func (c *receiver) abort() error {
	if c.tx == nil {
		return nil
	}
	return c.tx.Rollback()
}

func (c *receiver) length(most int) (int, error) {
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, cut(err)
	}
	if n > uint64(most) {
		return 0, fmt.Errorf("%w: field of %d bytes", errSnapshot, n)
	}
	return int(n), nil
}

// bytes grows with what is there, not with what is announced.
func (c *receiver) bytes(n int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, c.in, int64(n)); err != nil {
		return nil, cut(err)
	}
	return buf.Bytes(), nil
}

func (c *receiver) field(most int) ([]byte, error) {
	n, err := c.length(most)
	if err != nil {
		return nil, err
	}
	return c.bytes(n)
}
