package store

import (
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// ColdGet reads one row of a cold table by its absolute key as it is now; nil
// when absent.
func (s *Store) ColdGet(key []byte) (*kv.Record, error) {
	abs := view(key)
	if rec, found := getLayer(s.Root().cold, abs); found {
		return rec, nil
	}
	var rec *kv.Record
	err := s.viewCold(func(r *Root, tx *bbolt.Tx) (err error) {
		rec, err = getCold(r.cold, tx, abs)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get cold row: %w", err)
	}
	return rec, nil
}

// ColdScan is Root.Scan for cold tables, as they are now. fn must be quick: it
// holds a read transaction.
func (s *Store) ColdScan(prefix, from []byte, descending bool, fn func(*kv.Record) bool) error {
	err := s.viewCold(func(r *Root, tx *bbolt.Tx) error {
		return scanCold(r.cold, tx, coldRange{prefix, from, descending}, func(_ string, rec *kv.Record) bool {
			return fn(rec)
		})
	})
	if err != nil {
		return fmt.Errorf("scan cold rows: %w", err)
	}
	return nil
}

// viewCold runs fn with a root and a transaction that together hold every cold
// row as of the root's revision. The transaction comes first, so it is never
// ahead of the root; it is behind what the root has dropped only if a commit
// came in between, and then it is taken again.
func (s *Store) viewCold(fn func(r *Root, tx *bbolt.Tx) error) error {
	for {
		whole := true
		err := s.disk.view(func(tx *bbolt.Tx) (err error) {
			r := s.Root()
			if whole, err = r.joins(tx); err != nil || !whole {
				return err
			}
			return fn(r, tx)
		})
		if whole || err != nil {
			return err
		}
	}
}

// joins reports whether every cold row is in the root or in the transaction.
func (r *Root) joins(tx *bbolt.Tx) (bool, error) {
	held, _, err := readApplied(tx.Bucket([]byte(metaBucket)))
	return r.floor <= held, err
}

// coldReader is what the machine reads under its memtable. Apply holds mu, so
// that nothing is dropped from the sealed batches meanwhile.
type coldReader struct{ s *Store }

var _ fsm.Cold = coldReader{}

// Get implements fsm.Cold.
func (c coldReader) Get(abs string) (rec *kv.Record, err error) {
	layers := c.layers(nil)
	if rec, found := getLayer(layers, abs); found {
		return rec, nil
	}
	err = c.s.disk.view(func(tx *bbolt.Tx) error {
		rec, err = getCold(nil, tx, abs)
		return err
	})
	return rec, err
}

// Scan implements fsm.Cold.
func (c coldReader) Scan(top *fsm.Memtable, prefix string, fn func(string, *kv.Record) bool) error {
	return c.s.disk.view(func(tx *bbolt.Tx) error {
		return scanCold(c.layers(top), tx, coldRange{prefix: []byte(prefix)}, fn)
	})
}

func (c coldReader) layers(top *fsm.Memtable) []*fsm.Memtable {
	sealed := c.s.live.sealed
	layers := make([]*fsm.Memtable, 0, 1+len(sealed))
	if top != nil {
		layers = append(layers, top)
	}
	for _, b := range slices.Backward(sealed) {
		layers = append(layers, b.cold)
	}
	return layers
}

// getLayer looks a row up in memory; a found one may be nil, for deleted.
func getLayer(layers []*fsm.Memtable, abs string) (rec *kv.Record, found bool) {
	for _, l := range layers {
		if row, ok := l.Get(abs); ok {
			if row.Dead {
				return nil, true
			}
			return row.Record, true
		}
	}
	return nil, false
}

func getCold(layers []*fsm.Memtable, tx *bbolt.Tx, abs string) (*kv.Record, error) {
	if rec, found := getLayer(layers, abs); found {
		return rec, nil
	}
	id, at, _ := fsm.SplitKey([]byte(abs))
	b := tx.Bucket(bucketName(id))
	if b == nil {
		return nil, nil
	}
	key := []byte(abs[at:])
	v := b.Get(key)
	if v == nil {
		return nil, nil
	}
	_, rec, err := readRow(id, key, v)
	return rec, err
}
