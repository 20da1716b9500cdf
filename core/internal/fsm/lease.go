package fsm

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// LeaseOf reads a row of LeaseTable.
func LeaseOf(r *kv.Record) (kv.LeaseID, time.Duration) {
	return kv.LeaseID(binary.BigEndian.Uint64(r.Key)),
		time.Duration(binary.BigEndian.Uint64(r.Value)) * time.Millisecond
}

// LeaseKey is the absolute key of a lease's row, for reading.
func LeaseKey(id kv.LeaseID) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(LeaseTable)}, uint64(id))
}

// millis rounds up, so that a lease never ends early.
func millis(d time.Duration) int64 { return int64((d-1)/time.Millisecond) + 1 }

// attachments remembers which rows hang on which lease. It is derived from the
// rows and not replicated.
type attachments map[kv.LeaseID]map[string]struct{}

// move follows a change of one row's lease; 0 is none.
func (a attachments) move(key string, from, to kv.LeaseID) {
	if from == to {
		return
	}
	if rows := a[from]; rows != nil {
		delete(rows, key)
		if len(rows) == 0 {
			delete(a, from)
		}
	}
	if to == 0 {
		return
	}
	if a[to] == nil {
		a[to] = map[string]struct{}{}
	}
	a[to][key] = struct{}{}
}

// sorted appends the rows of a lease in key order: apply must not depend on the
// order of a map.
func (a attachments) sorted(dst []string, id kv.LeaseID) []string {
	for key := range a[id] {
		dst = append(dst, key)
	}
	slices.Sort(dst)
	return dst
}

// grant creates a lease or changes its TTL.
func (m *Machine) grant(o *kv.Op) {
	buf := LeaseKey(o.Lease)
	prev, _ := m.hot.Get(view(buf))
	n := len(buf)
	buf = binary.BigEndian.AppendUint64(buf, uint64(millis(o.TTL)))
	if prev != nil && string(prev.Value) == string(buf[n:]) {
		return
	}
	m.put(buf, n, LeaseTable, prev, 0)
}

// revoke removes a lease and every row that hangs on it.
func (m *Machine) revoke(id kv.LeaseID) {
	key := LeaseKey(id)
	if _, ok := m.hot.Get(view(key)); !ok {
		return
	}
	m.keys = m.leases.sorted(m.keys[:0], id)
	for _, row := range m.keys {
		m.remove(row)
	}
	m.remove(view(key))
}

func (m *Machine) leaseExists(id kv.LeaseID) bool {
	var buf [9]byte
	buf[0] = byte(LeaseTable)
	binary.BigEndian.PutUint64(buf[1:], uint64(id))
	_, ok := m.hot.Get(view(buf[:]))
	return ok
}
