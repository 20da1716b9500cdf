package fsm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/easynet-cn/batata/core/kv"
)

// step is one change of one row, with what it takes to undo it.
type step struct {
	abs   string
	table TableID
	cold  bool
	// Hot: both may be nil, for absent.
	prev, next *kv.Record
	// Cold: what the memtable held before and now.
	before, after ColdRow
}

// do runs one op. It returns false for an Add that leaves its bounds.
func (m *Machine) do(o *kv.Op) (within bool, err error) {
	if o.Kind == kv.Grant {
		m.grant(o)
		return true, nil
	}
	if o.Kind == kv.Revoke {
		m.revoke(o.Lease)
		return true, nil
	}
	id, _, _ := SplitKey(o.Key)
	if table, _ := m.tables.ByID(id); table.Residency == kv.Cold {
		return true, m.doCold(o, id)
	}
	switch o.Kind {
	case kv.Put:
		return true, m.doPut(o, id)
	case kv.Touch:
		return true, m.doTouch(o, id)
	case kv.Delete:
		m.remove(view(o.Key))
		return true, nil
	case kv.DeletePrefix:
		return true, m.removePrefix(o.Key)
	case Count:
		m.doCount(o, id)
		return true, nil
	default:
		return m.doAdd(o, id)
	}
}

func (m *Machine) doPut(o *kv.Op, id TableID) error {
	if o.Lease != 0 && !m.leaseExists(o.Lease) {
		return fmt.Errorf("put: %w", kv.ErrLeaseGone)
	}
	if o.SkipEqual && o.StampKey == 0 && o.StampValue == 0 {
		prev, ok := m.hot.Get(view(o.Key))
		if ok && prev.Lease == o.Lease && string(prev.Value) == string(o.Value) {
			return nil
		}
	}
	buf := m.stamped(o)
	prev, ok := m.hot.Get(view(buf[:len(o.Key)]))
	if o.SkipEqual && ok && prev.Lease == o.Lease && string(prev.Value) == string(buf[len(o.Key):]) {
		return nil
	}
	m.put(buf, len(o.Key), id, prev, o.Lease)
	return nil
}

// doTouch keeps value and lease; a lease named by the op replaces the row's.
func (m *Machine) doTouch(o *kv.Op, id TableID) error {
	if o.Lease != 0 && !m.leaseExists(o.Lease) {
		return fmt.Errorf("touch: %w", kv.ErrLeaseGone)
	}
	buf := m.stamped(&kv.Op{Key: o.Key, StampKey: o.StampKey, Seq: o.Seq})
	prev, _ := m.hot.Get(view(buf))
	lease := o.Lease
	if prev != nil && lease == 0 {
		lease = prev.Lease
	}
	next := m.put(buf, len(buf), id, prev, lease)
	if prev != nil {
		next.Value = prev.Value
	}
	return nil
}

func (m *Machine) doAdd(o *kv.Op, id TableID) (within bool, err error) {
	prev, _ := m.hot.Get(view(o.Key))
	var have int64
	var lease kv.LeaseID
	if prev != nil {
		if len(prev.Value) != 8 {
			return false, fmt.Errorf("add: %w: row of %d bytes is not a counter", ErrInvalid, len(prev.Value))
		}
		have, lease = int64(binary.BigEndian.Uint64(prev.Value)), prev.Lease
	}
	if o.Delta > 0 && have > math.MaxInt64-o.Delta || o.Delta < 0 && have < math.MinInt64-o.Delta {
		return false, nil
	}
	sum := have + o.Delta
	if sum < o.Min || sum > o.Max {
		return false, nil
	}
	if o.Delta != 0 {
		m.putCounter(o.Key, id, prev, lease, sum)
	}
	return true, nil
}

func (m *Machine) putCounter(key []byte, id TableID, prev *kv.Record, lease kv.LeaseID, n int64) {
	buf := binary.BigEndian.AppendUint64(append(make([]byte, 0, len(key)+8), key...), uint64(n))
	m.put(buf, len(key), id, prev, lease)
}

// doCount changes nothing when the counter is right already.
func (m *Machine) doCount(o *kv.Op, id TableID) {
	var n uint64
	prefix := view(o.Value)
	m.hot.Ascend(prefix, func(abs string, _ *kv.Record) bool {
		if !strings.HasPrefix(abs, prefix) {
			return false
		}
		n++
		return true
	})
	prev, _ := m.hot.Get(view(o.Key))
	if prev != nil && len(prev.Value) == 8 && binary.BigEndian.Uint64(prev.Value) == n {
		return
	}
	var lease kv.LeaseID
	if prev != nil {
		lease = prev.Lease
	}
	m.putCounter(o.Key, id, prev, lease, int64(n))
}

// stamped copies key and value of an op out of the entry and fills in stamps.
func (m *Machine) stamped(o *kv.Op) []byte {
	n := len(o.Key)
	buf := make([]byte, n+len(o.Value))
	copy(buf, o.Key)
	copy(buf[n:], o.Value)
	stamp := uint64(kv.NewStamp(m.rev+1, o.Seq))
	if o.StampKey > 0 {
		binary.BigEndian.PutUint64(buf[o.StampKey-1:n], stamp)
	}
	if o.StampValue > 0 {
		binary.BigEndian.PutUint64(buf[n+int(o.StampValue)-1:], stamp)
	}
	return buf
}

// put writes a hot row. buf is its absolute key of n bytes, then its value, and
// belongs to the row from now on.
func (m *Machine) put(buf []byte, n int, id TableID, prev *kv.Record, lease kv.LeaseID) *kv.Record {
	rev := m.rev + 1
	next := &kv.Record{
		Key: buf[KeyOffset(id):n:n], Value: buf[n:],
		Created: rev, Modified: rev, Version: 1, Lease: lease,
	}
	if prev != nil {
		next.Created = prev.Created
		if next.Version = prev.Version + 1; next.Version == 0 {
			next.Version = math.MaxUint32
		}
	}
	abs := view(buf[:n])
	m.hot.Set(abs, next)
	m.record(step{abs: abs, table: id, prev: prev, next: next})
	return next
}

// remove deletes a hot row; an absent one is no change. abs need not outlive
// the call.
func (m *Machine) remove(abs string) {
	prev, ok := m.hot.Delete(abs)
	if !ok {
		return
	}
	id, _, _ := SplitKey(unview(abs))
	m.record(step{abs: strings.Clone(abs), table: id, prev: prev})
}

func (m *Machine) removePrefix(prefix []byte) error {
	m.keys = m.keys[:0]
	m.hot.Ascend(view(prefix), func(abs string, _ *kv.Record) bool {
		if !strings.HasPrefix(abs, view(prefix)) {
			return false
		}
		m.keys = append(m.keys, abs)
		return len(m.keys) <= kv.MaxPrefix
	})
	if len(m.keys) > kv.MaxPrefix {
		return tooMany("delete prefix", kv.MaxPrefix)
	}
	for _, abs := range m.keys {
		m.remove(abs)
	}
	m.keys = reuse(m.keys)
	return nil
}

// record notes a step on a hot row and follows its lease.
func (m *Machine) record(s step) {
	if s.prev != nil && s.prev.Modified > m.rev {
		m.repeated = true
	}
	m.moveLease(s.abs, s.prev, s.next)
	m.undo = append(m.undo, s)
}

func (m *Machine) moveLease(abs string, from, to *kv.Record) {
	var a, b kv.LeaseID
	if from != nil {
		a = from.Lease
	}
	if to != nil {
		b = to.Lease
	}
	m.leases.move(abs, a, b)
}

func tooMany(what string, most int) error {
	return fmt.Errorf("%s: %w: more than %d rows", what, kv.ErrTooLarge, most)
}

// view reads bytes as a string without a copy. The bytes never change while the
// string is in use.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // no copy on the hot path, see above
}

// unview is the way back, for reading only.
func unview(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // no copy on the hot path, see above
}
