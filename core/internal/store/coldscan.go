package store

import (
	"bytes"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// coldRange is what to scan: absolute keys, as in Root.Scan.
type coldRange struct {
	prefix, from []byte
	descending   bool
}

// bounds returns the first and last key wanted: ascending from start; descending
// from start, which itself counts only if included. A descending range without
// a start begins at the last row.
func (r *coldRange) bounds() (start string, included, bounded bool) {
	if !r.descending {
		if bytes.Compare(r.from, r.prefix) > 0 {
			return string(r.from), true, true
		}
		return string(r.prefix), true, true
	}
	end, bounded := prefixEnd(r.prefix)
	if r.from != nil && (!bounded || string(r.from) < end) {
		return string(r.from), true, true
	}
	return end, false, bounded
}

// layer walks the rows of one layer in the order of a scan. While ok is true,
// abs is the key of the current row and read returns it.
type layer struct {
	abs  string
	ok   bool
	step func()
	read func() (fsm.ColdRow, error)
}

// scanCold merges the layers, newest first, over the rows of a transaction. Of
// several rows with one key the newest layer's counts.
func scanCold(mem []*fsm.Memtable, tx *bbolt.Tx, r coldRange, fn func(string, *kv.Record) bool) error {
	layers := make([]*layer, 0, len(mem)+1)
	for _, m := range mem {
		if m.Len() > 0 {
			layers = append(layers, memLayer(m, &r))
		}
	}
	if l := diskLayer(tx, &r); l != nil {
		layers = append(layers, l)
	}
	for {
		next := first(layers, r.descending)
		if next == nil {
			return nil
		}
		row, err := next.read()
		if err != nil {
			return err
		}
		abs := next.abs
		if !row.Dead && !fn(abs, row.Record) {
			return nil
		}
		for _, l := range layers {
			if l.ok && l.abs == abs {
				l.step()
			}
		}
	}
}

// first returns the layer whose row comes next, nil at the end.
func first(layers []*layer, descending bool) *layer {
	var best *layer
	for _, l := range layers {
		switch {
		case !l.ok:
		case best == nil, descending && l.abs > best.abs, !descending && l.abs < best.abs:
			best = l
		}
	}
	return best
}

func memLayer(m *fsm.Memtable, r *coldRange) *layer {
	it := m.Iter()
	start, included, bounded := r.bounds()
	var ok bool
	switch {
	case !bounded:
		ok = it.Last()
	case !r.descending:
		ok = it.Seek(start)
	default:
		if ok = it.Seek(start); !ok {
			ok = it.Last()
		} else if it.Key() != start || !included {
			ok = it.Prev()
		}
	}
	l := new(layer)
	settle := func() {
		if l.ok = ok; ok {
			l.abs = it.Key()
			l.ok = strings.HasPrefix(l.abs, string(r.prefix))
		}
	}
	l.step = func() {
		if r.descending {
			ok = it.Prev()
		} else {
			ok = it.Next()
		}
		settle()
	}
	l.read = func() (fsm.ColdRow, error) { return it.Value(), nil }
	settle()
	return l
}

// diskLayer returns nil for a table that has no rows on disk.
func diskLayer(tx *bbolt.Tx, r *coldRange) *layer {
	id, at, ok := fsm.SplitKey(r.prefix)
	if !ok {
		return nil
	}
	b := tx.Bucket(bucketName(id))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	k, v := seek(c, r, at)
	l := new(layer)
	settle := func() {
		if l.ok = k != nil; l.ok {
			l.abs = string(fsm.AppendKey(nil, id, k))
			l.ok = strings.HasPrefix(l.abs, string(r.prefix))
		}
	}
	l.step = func() {
		if r.descending {
			k, v = c.Prev()
		} else {
			k, v = c.Next()
		}
		settle()
	}
	l.read = func() (fsm.ColdRow, error) {
		_, rec, err := readRow(id, k, v)
		return fsm.ColdRow{Record: rec}, err
	}
	settle()
	return l
}

// seek finds the first row of a scan in one bucket, whose keys lack the first
// at bytes.
func seek(c *bbolt.Cursor, r *coldRange, at int) (k, v []byte) {
	start, included, bounded := r.bounds()
	inside := bounded && strings.HasPrefix(start, string(r.prefix[:at]))
	switch {
	case !r.descending && inside:
		return c.Seek([]byte(start[at:]))
	case !r.descending:
		return nil, nil // begins behind the table
	case !inside:
		return c.Last()
	}
	k, v = c.Seek([]byte(start[at:]))
	switch {
	case k == nil:
		return c.Last()
	case string(k) == start[at:] && included:
		return k, v
	}
	return c.Prev()
}
