package kvtest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// errNotCounter is what Model returns for an Add on a row that is no counter.
// Implementations return some error there.
var errNotCounter = errors.New("not a counter")

// Model is the plainest store that keeps the contract: maps, copied whole with
// every transaction. It is what other stores are compared with. It belongs to
// one goroutine.
type Model struct {
	Tables map[string]kv.Residency
	Rows   map[RowKey]kv.Record
	Leases map[kv.LeaseID]time.Duration
	Rev    kv.Revision
	// Touched is the revision of the last change of each table.
	Touched map[string]kv.Revision
}

// RowKey names a row of a Model.
type RowKey struct{ Table, Key string }

// NewModel returns an empty store with the given tables.
func NewModel(tables []kv.TableSpec) *Model {
	m := &Model{
		Tables: map[string]kv.Residency{}, Rows: map[RowKey]kv.Record{},
		Leases: map[kv.LeaseID]time.Duration{}, Touched: map[string]kv.Revision{},
	}
	for _, t := range tables {
		m.Tables[t.Name] = t.Residency
	}
	return m
}

// Commit runs a valid transaction. After an error nothing has changed.
func (m *Model) Commit(t kv.Txn) (kv.Result, error) {
	res := kv.Result{Revision: m.Rev}
	for i, c := range t.If {
		if !m.holds(c) {
			res.Failed = append(res.Failed, i)
		}
	}
	ops := t.Then
	if len(res.Failed) > 0 {
		ops = t.Else
	}
	next := *m
	next.Rows, next.Leases, next.Touched = maps.Clone(m.Rows), maps.Clone(m.Leases), maps.Clone(m.Touched)
	next.Rev++
	changed, inBounds := false, true
	for i, op := range ops {
		if op.IfChanged && !changed {
			continue
		}
		did, within, err := next.do(op)
		if err != nil {
			return kv.Result{Revision: m.Rev}, fmt.Errorf("op %d: %w", i, err)
		}
		if !within {
			inBounds = false
			res.Failed = append(res.Failed, len(t.If)+i)
		}
		changed = changed || did
	}
	if changed && inBounds {
		*m = next
	}
	res.Revision = m.Rev
	res.Committed = len(res.Failed) == 0
	return res, nil
}

func (m *Model) holds(c kv.Compare) bool {
	r := m.Rows[RowKey{c.Table, string(c.Key)}]
	var order int
	switch c.Target {
	case kv.Modified:
		order = cmp.Compare(uint64(r.Modified), c.Num)
	case kv.Created:
		order = cmp.Compare(uint64(r.Created), c.Num)
	case kv.Lease:
		order = cmp.Compare(uint64(r.Lease), c.Num)
	case kv.Value:
		order = bytes.Compare(r.Value, c.Bytes)
	case kv.Newest:
		var newest kv.Revision
		for _, k := range m.Keys(c.Table, string(c.Key)) {
			newest = max(newest, m.Rows[k].Modified)
		}
		order = cmp.Compare(uint64(newest), c.Num)
	}
	return c.Rel == kv.Equal && order == 0 || c.Rel == kv.NotEqual && order != 0 ||
		c.Rel == kv.AtMost && order <= 0 || c.Rel == kv.AtLeast && order >= 0
}

// Keys returns the rows of a table below a prefix, in order.
func (m *Model) Keys(table, prefix string) []RowKey {
	var keys []RowKey
	for k := range m.Rows {
		if k.Table == table && strings.HasPrefix(k.Key, prefix) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b RowKey) int { return strings.Compare(a.Key, b.Key) })
	return keys
}

func (m *Model) do(op kv.Op) (changed, within bool, err error) {
	key := RowKey{op.Table, string(m.stamp(op.Key, op.StampKey, op.Seq))}
	old, exists := m.Rows[key]
	if _, ok := m.Leases[op.Lease]; op.Lease != 0 && !ok && (op.Kind == kv.Put || op.Kind == kv.Touch) {
		return false, true, kv.ErrLeaseGone
	}
	switch op.Kind {
	case kv.Put:
		value := m.stamp(op.Value, op.StampValue, op.Seq)
		if op.SkipEqual && exists && bytes.Equal(old.Value, value) && old.Lease == op.Lease {
			return false, true, nil
		}
		m.set(key, value, op.Lease)
		return true, true, nil
	case kv.Touch:
		m.set(key, old.Value, cmp.Or(op.Lease, old.Lease))
		return true, true, nil
	case kv.Delete:
		return m.delete(key), true, nil
	case kv.DeletePrefix:
		keys := m.Keys(op.Table, string(op.Key))
		for _, k := range keys {
			m.delete(k)
		}
		return len(keys) > 0, true, nil
	case kv.Add:
		return m.add(key, op)
	case kv.Grant:
		ttl := (op.TTL + time.Millisecond - 1).Truncate(time.Millisecond)
		changed = m.Leases[op.Lease] != ttl
		m.Leases[op.Lease] = ttl
		return changed, true, nil
	default:
		return m.revoke(op.Lease), true, nil
	}
}

func (m *Model) add(key RowKey, op kv.Op) (changed, within bool, err error) {
	old, exists := m.Rows[key]
	have := new(big.Int)
	if exists {
		if len(old.Value) != 8 {
			return false, false, errNotCounter
		}
		have.SetInt64(int64(binary.BigEndian.Uint64(old.Value)))
	}
	sum := have.Add(have, big.NewInt(op.Delta))
	if sum.Cmp(big.NewInt(op.Min)) < 0 || sum.Cmp(big.NewInt(op.Max)) > 0 {
		return false, false, nil
	}
	if op.Delta == 0 {
		return false, true, nil
	}
	m.set(key, binary.BigEndian.AppendUint64(nil, uint64(sum.Int64())), old.Lease)
	return true, true, nil
}

func (m *Model) revoke(id kv.LeaseID) bool {
	if _, ok := m.Leases[id]; !ok {
		return false
	}
	delete(m.Leases, id)
	for k, r := range m.Rows {
		if r.Lease == id {
			m.delete(k)
		}
	}
	return true
}

func (m *Model) set(key RowKey, value []byte, lease kv.LeaseID) {
	m.Touched[key.Table] = m.Rev
	r := kv.Record{Key: []byte(key.Key), Value: value, Created: m.Rev, Modified: m.Rev, Lease: lease}
	if m.Tables[key.Table] == kv.Hot {
		old, exists := m.Rows[key]
		if r.Version = old.Version + 1; exists {
			r.Created = old.Created
		}
	}
	m.Rows[key] = r
}

func (m *Model) delete(key RowKey) bool {
	if _, ok := m.Rows[key]; !ok {
		return false
	}
	delete(m.Rows, key)
	m.Touched[key.Table] = m.Rev
	return true
}

// stamp returns b with the stamp of this revision at offset-1.
func (m *Model) stamp(b []byte, offset int32, seq uint16) []byte {
	b = slices.Clone(b)
	if offset > 0 {
		binary.BigEndian.PutUint64(b[offset-1:], uint64(kv.NewStamp(m.Rev, seq)))
	}
	return b
}

// Dump lists a table's rows in order, for comparing.
func (m *Model) Dump(table string) []string {
	var rows []string
	for _, k := range m.Keys(table, "") {
		r := m.Rows[k]
		rows = append(rows, Line(&r))
	}
	return rows
}

// Line describes a row as Dump does.
func Line(r *kv.Record) string {
	return fmt.Sprintf("%x=%x created %d modified %d version %d lease %d", r.Key, r.Value, r.Created, r.Modified, r.Version, r.Lease)
}
