package store

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// batch is what was applied and goes to state.db together.
type batch struct {
	hot    []pending
	ops    int // changed rows, cold ones too
	tables []fsm.Table
	bytes  int64
	cold   *fsm.Memtable // set when sealed: its rows stay readable until they are on disk
	at     meta          // set when sealed: the state after it
}

// pending is one hot row to write; a nil record is a deletion.
type pending struct {
	abs    string
	record *kv.Record
	table  fsm.TableID
	seq    uint32 // order within the batch
}

// add notes a change and returns its bytes. Cold rows are in the memtable.
func (b *batch) add(c *fsm.Change) int64 {
	size := int64(len(c.Abs))
	if !c.Deleted {
		size += int64(len(c.Record.Value))
	}
	b.ops++
	b.bytes += size
	if c.Cold {
		return size
	}
	p := pending{abs: c.Abs, table: c.Table, seq: uint32(len(b.hot))}
	if !c.Deleted {
		p.record = c.Record
	}
	b.hot = append(b.hot, p)
	return size
}

// write puts batches, oldest first, into one transaction.
func write(tx *bbolt.Tx, batches []*batch) error {
	for _, b := range batches {
		for i := range b.tables {
			if err := writeTable(tx, &b.tables[i]); err != nil {
				return err
			}
		}
		if err := b.write(tx); err != nil {
			return err
		}
	}
	return writeMeta(tx, &batches[len(batches)-1].at)
}

// write puts the rows of one batch in key order, of several writes to one hot row
// the last.
func (b *batch) write(tx *bbolt.Tx) (err error) {
	slices.SortFunc(b.hot, func(a, b pending) int {
		if c := strings.Compare(a.abs, b.abs); c != 0 {
			return c
		}
		return cmp.Compare(a.seq, b.seq)
	})
	w := rowWriter{tx: tx}
	for i := range b.hot {
		p := &b.hot[i]
		if i+1 < len(b.hot) && b.hot[i+1].abs == p.abs {
			continue
		}
		if err := w.write(p.table, p.abs, p.record); err != nil {
			return err
		}
	}
	b.cold.Scan(func(abs string, row fsm.ColdRow) bool {
		rec := row.Record
		if row.Dead {
			rec = nil
		}
		id, _, _ := fsm.SplitKey(keyOf(abs))
		err = w.write(id, abs, rec)
		return err == nil
	})
	return err
}

// rowWriter writes rows in key order.
type rowWriter struct {
	tx     *bbolt.Tx
	table  fsm.TableID
	at     int // where the caller's key starts
	bucket *bbolt.Bucket
	room   []byte // for values, which bbolt keeps until the commit
	rows   int    // written so far
}

// breath is how many rows are written before others get the processor: a commit of
// thousands would hold up the raft loop, and whoever waits for it, for as long as
// the scheduler lets one goroutine run, 10 ms.
const breath = 32

// chunk is how much room is made for values at once.
const chunk = 64 << 10

// write writes a row; a nil record deletes it.
func (w *rowWriter) write(id fsm.TableID, abs string, r *kv.Record) error {
	if id != w.table {
		if err := w.enter(id, abs); err != nil {
			return err
		}
	}
	if w.rows++; w.rows%breath == 0 {
		runtime.Gosched()
	}
	key := keyOf(abs[w.at:])
	if r == nil {
		if err := w.bucket.Delete(key); err != nil {
			return fmt.Errorf("table %d: %w", id, err)
		}
		return nil
	}
	if need := maxRowHead + len(r.Value); cap(w.room)-len(w.room) < need {
		w.room = make([]byte, 0, max(chunk, need))
	}
	n := len(w.room)
	w.room = appendRow(w.room, r)
	if err := w.bucket.Put(key, w.room[n:len(w.room):len(w.room)]); err != nil {
		return fmt.Errorf("table %d: %w", id, err)
	}
	return nil
}

// enter begins the rows of a table, of which abs is the first.
func (w *rowWriter) enter(id fsm.TableID, abs string) (err error) {
	if w.bucket, err = w.tx.CreateBucketIfNotExists(bucketName(id)); err != nil {
		return fmt.Errorf("table %d: %w", id, err)
	}
	w.table, w.at = id, fsm.KeyOffset(id)
	if last, _ := w.bucket.Cursor().Last(); abs[w.at:] > string(last) {
		w.bucket.FillPercent = 0.95 // the table grows at its end: pages stay full
	}
	return nil
}

// keyOf lends the bytes of a key to bbolt, which copies keys that it keeps.
func keyOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // nobody writes to them

func writeTable(tx *bbolt.Tx, t *fsm.Table) error {
	b, err := tx.CreateBucketIfNotExists([]byte(tablesBucket))
	if err != nil {
		return fmt.Errorf("declare tables: %w", err)
	}
	name := bucketName(t.ID)
	return b.Put(name[1:], appendTable(nil, t))
}
