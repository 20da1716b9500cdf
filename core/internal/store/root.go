package store

import (
	"bytes"
	"slices"
	"strings"
	"unsafe"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Root is one immutable state of all hot tables.
type Root struct {
	hot     *fsm.Rows
	cold    []*fsm.Memtable // rows perhaps not on disk, newest first
	floor   uint64          // what was applied up to here may be on disk alone
	tables  *fsm.Tables
	changed []kv.Revision // by table id
	rev     kv.Revision
	index   uint64
}

// publish makes the live state the one that is read. The caller holds mu.
func (s *Store) publish() {
	l := &s.live
	r := &Root{
		hot:     l.machine.HotRows(),
		cold:    make([]*fsm.Memtable, 0, 1+len(l.sealed)),
		floor:   s.onDisk.Load(),
		tables:  l.machine.Tables(),
		changed: l.machine.Changed(),
		rev:     l.at.revision,
		index:   l.at.index,
	}
	r.cold = append(r.cold, l.machine.ColdRows())
	for _, b := range slices.Backward(l.sealed) {
		r.cold = append(r.cold, b.cold)
	}
	s.root.Store(r)
}

// Revision is the last revision of the state.
func (r *Root) Revision() kv.Revision { return r.rev }

// Index is the last applied raft index of the state.
func (r *Root) Index() uint64 { return r.index }

// Get returns the hot row with an absolute key, nil when absent.
func (r *Root) Get(key []byte) *kv.Record {
	rec, _ := r.hot.Get(view(key))
	return rec
}

// Scan calls fn for the hot rows whose absolute key has the prefix, in key
// order, until it returns false. From, when not nil, is an absolute key to
// start at, included.
func (r *Root) Scan(prefix, from []byte, descending bool, fn func(*kv.Record) bool) {
	p := view(prefix)
	if !descending {
		start := p
		if bytes.Compare(from, prefix) > 0 {
			start = view(from)
		}
		r.hot.Ascend(start, func(abs string, rec *kv.Record) bool {
			return strings.HasPrefix(abs, p) && fn(rec)
		})
		return
	}
	visit := func(abs string, rec *kv.Record) bool {
		if abs >= p && !strings.HasPrefix(abs, p) {
			return true // behind the prefix: the end of it is not a row
		}
		return abs >= p && fn(rec)
	}
	switch end, bounded := prefixEnd(prefix); {
	case from != nil && (!bounded || string(from) < end):
		r.hot.Descend(view(from), visit)
	case bounded:
		r.hot.Descend(end, visit)
	default:
		r.hot.Reverse(visit)
	}
}

// Changed returns the revision of the last change in a table, deletes included.
func (r *Root) Changed(id fsm.TableID) kv.Revision {
	if int(id) >= len(r.changed) {
		return 0
	}
	return r.changed[id]
}

// prefixEnd returns the first key behind those with the prefix; bounded is false
// when there is none.
func prefixEnd(prefix []byte) (end string, bounded bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			b := append([]byte(nil), prefix[:i+1]...)
			b[i]++
			return string(b), true
		}
	}
	return "", false
}

// view reads bytes as a string without a copy, for the length of a call.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // lookups do not keep the key
}
