package fsm

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/kv"
)

// doCold runs an op on a cold table. A Put is blind: no disk read, so Created
// equals Modified and Version is 0.
func (m *Machine) doCold(o *kv.Op, id TableID) error {
	switch o.Kind {
	case kv.Put:
		abs, value := m.stampedCold(o)
		if o.SkipEqual {
			prev, err := m.readCold(view(abs))
			if err != nil || prev != nil && string(prev.Value) == string(value) {
				return err
			}
		}
		rev := m.rev + 1
		rec := m.room.record()
		*rec = kv.Record{Key: abs[KeyOffset(id):], Value: value, Created: rev, Modified: rev}
		m.setCold(view(abs), id, ColdRow{Record: rec})
		return nil
	case kv.Delete:
		prev, err := m.readCold(view(o.Key))
		if err != nil || prev == nil {
			return err
		}
		m.killCold(view(o.Key), id)
		return nil
	default:
		return m.removeColdPrefix(view(o.Key), id)
	}
}

// stampedCold is stamped for a cold row. A value without a stamp stays where it
// is: the row leaves memory with the next commit to disk, about as soon as the
// entry does.
func (m *Machine) stampedCold(o *kv.Op) (abs, value []byte) {
	n := len(o.Key)
	if o.StampValue > 0 {
		buf := m.stamped(o)
		return buf[:n:n], buf[n:]
	}
	abs = m.room.bytes(n)
	copy(abs, o.Key)
	if o.StampKey > 0 {
		binary.BigEndian.PutUint64(abs[o.StampKey-1:], uint64(kv.NewStamp(m.rev+1, o.Seq)))
	}
	return abs, slices.Clip(o.Value)
}

func (m *Machine) removeColdPrefix(prefix string, id TableID) error {
	m.keys = m.keys[:0]
	err := m.disk.Scan(m.cold, prefix, func(abs string, _ *kv.Record) bool {
		m.keys = append(m.keys, abs)
		return len(m.keys) <= kv.MaxPrefix
	})
	if err != nil {
		m.fatal = err
		return err
	}
	if len(m.keys) > kv.MaxPrefix {
		return tooMany("delete prefix", kv.MaxPrefix)
	}
	for _, abs := range m.keys {
		m.killCold(abs, id)
	}
	return nil
}

// readCold returns nil for an absent row.
func (m *Machine) readCold(abs string) (*kv.Record, error) {
	if row, ok := m.cold.Get(abs); ok {
		if row.Dead {
			return nil, nil
		}
		return row.Record, nil
	}
	r, err := m.disk.Get(abs)
	if err != nil {
		m.fatal = err
	}
	return r, err
}

func (m *Machine) killCold(abs string, id TableID) {
	abs = strings.Clone(abs)
	m.setCold(abs, id, ColdRow{Dead: true, Record: &kv.Record{
		Key: unview(abs[KeyOffset(id):]), Modified: m.rev + 1,
	}})
}

func (m *Machine) setCold(abs string, id TableID, row ColdRow) {
	before, _ := m.cold.Set(abs, row)
	if before.Record != nil && before.Record.Modified > m.rev {
		m.repeated = true
	}
	m.undo = append(m.undo, step{abs: abs, table: id, cold: true, before: before, after: row})
}

// rollback undoes every step of the command, the last one first.
func (m *Machine) rollback() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		s := &m.undo[i]
		switch {
		case s.cold && s.before.Record == nil:
			m.cold.Delete(s.abs)
		case s.cold:
			m.cold.Set(s.abs, s.before)
		case s.prev == nil:
			m.hot.Delete(s.abs)
		default:
			m.hot.Set(s.abs, s.prev)
		}
		if !s.cold {
			m.moveLease(s.abs, s.next, s.prev)
		}
	}
	m.undo = reuse(m.undo)
}

// collect turns the steps of the command into changes, one per row.
func (m *Machine) collect() {
	if !m.repeated && !m.reborn() {
		for i := range m.undo {
			m.changes = append(m.changes, m.change(&m.undo[i]))
		}
		return
	}
	last := make(map[string]int, len(m.undo)) // row → index into changes
	for i := range m.undo {
		c := m.change(&m.undo[i])
		j, seen := last[c.Abs]
		if !seen {
			last[c.Abs] = len(m.changes)
			m.changes = append(m.changes, c)
			continue
		}
		c.Previous = m.changes[j].Previous
		m.changes[j] = c
	}
	kept := m.changes[:m.from]
	for _, c := range m.changes[m.from:] {
		if c.Cold || !c.Deleted || c.Previous != nil {
			kept = append(kept, c) // all but rows that came and went
		}
	}
	clear(m.changes[len(kept):])
	m.changes = kept
}

// reborn reports a row that may have been deleted and written again.
func (m *Machine) reborn() bool {
	deleted := false
	for i := range m.undo {
		s := &m.undo[i]
		if s.cold {
			continue
		}
		if deleted && s.prev == nil {
			return true
		}
		deleted = deleted || s.next == nil
	}
	return false
}

func (m *Machine) change(s *step) Change {
	c := Change{Table: s.table, Cold: s.cold, Abs: s.abs}
	switch {
	case s.cold:
		c.Record, c.Deleted = s.after.Record, s.after.Dead
	case s.next == nil:
		c.Record, c.Deleted = &kv.Record{Key: s.prev.Key, Modified: m.rev}, true
		c.Previous = s.prev
	default:
		c.Record, c.Previous = s.next, s.prev
	}
	return c
}

// slab is memory for the cold rows of one memtable: they leave memory together, so
// they may come together, which spares the collector most of them.
type slab struct {
	records []kv.Record
	keys    []byte
}

// The sizes of the pieces of a slab.
const (
	slabRecords = 32
	slabBytes   = 2 << 10
)

// record returns a blank record that nobody else has.
func (s *slab) record() *kv.Record {
	if len(s.records) == cap(s.records) {
		s.records = make([]kv.Record, 0, slabRecords)
	}
	s.records = s.records[:len(s.records)+1]
	return &s.records[len(s.records)-1]
}

// bytes returns n bytes that nobody else has.
func (s *slab) bytes(n int) []byte {
	at := len(s.keys)
	if cap(s.keys)-at < n {
		s.keys, at = make([]byte, 0, max(n, slabBytes)), 0
	}
	s.keys = s.keys[:at+n]
	return s.keys[at : at+n : at+n]
}
