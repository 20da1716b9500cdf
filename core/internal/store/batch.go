package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// batch is what was applied and goes to state.db together.
type batch struct {
	rows   []pending
	tables []fsm.Table
	bytes  int64
	cold   *fsm.Memtable // set when sealed: its cold rows stay readable until they are on disk
	at     meta          // set when sealed: the state after it
}

// pending is one row to write; a nil record is a deletion.
type pending struct {
	abs    string
	record *kv.Record
	table  fsm.TableID
	seq    uint32 // order within one commit
}

// add notes a change and returns its bytes.
func (b *batch) add(c *fsm.Change) int64 {
	p := pending{abs: c.Abs, table: c.Table}
	size := int64(len(c.Abs))
	if !c.Deleted {
		p.record = c.Record
		size += int64(len(c.Record.Value))
	}
	b.rows = append(b.rows, p)
	b.bytes += size
	return size
}

// write puts batches, oldest first, into one transaction: rows in key order, of
// several writes to one row the last.
func write(tx *bbolt.Tx, batches []*batch) error {
	var rows []pending
	for _, b := range batches {
		rows = append(rows, b.rows...)
		for i := range b.tables {
			if err := writeTable(tx, &b.tables[i]); err != nil {
				return err
			}
		}
	}
	for i := range rows {
		rows[i].seq = uint32(i)
	}
	slices.SortFunc(rows, func(a, b pending) int {
		if c := strings.Compare(a.abs, b.abs); c != 0 {
			return c
		}
		return cmp.Compare(a.seq, b.seq)
	})
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].table == rows[from].table {
			to++
		}
		if err := writeRows(tx, rows[from:to]); err != nil {
			return err
		}
		from = to
	}
	return writeMeta(tx, &batches[len(batches)-1].at)
}

// writeRows writes sorted rows of one table.
func writeRows(tx *bbolt.Tx, rows []pending) error {
	id := rows[0].table
	b, err := tx.CreateBucketIfNotExists(bucketName(id))
	if err != nil {
		return fmt.Errorf("table %d: %w", id, err)
	}
	at := fsm.KeyOffset(id)
	if last, _ := b.Cursor().Last(); rows[0].abs[at:] > string(last) {
		b.FillPercent = 0.95 // the table grows at its end: pages stay full
	}
	// bbolt keeps the values until the commit, so they share one buffer.
	size := 0
	for i := range rows {
		if r := rows[i].record; r != nil {
			size += maxRowHead + len(r.Value)
		}
	}
	buf := make([]byte, 0, size)
	for i := range rows {
		if i+1 < len(rows) && rows[i+1].abs == rows[i].abs {
			continue
		}
		key := keyOf(rows[i].abs[at:])
		if rows[i].record == nil {
			err = b.Delete(key)
		} else {
			n := len(buf)
			buf = appendRow(buf, rows[i].record)
			err = b.Put(key, buf[n:len(buf):len(buf)])
		}
		if err != nil {
			return fmt.Errorf("table %d: %w", id, err)
		}
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
