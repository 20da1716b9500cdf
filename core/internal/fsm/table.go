package fsm

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
)

// TableID names a table in keys. Ids are handed out by the state machine and
// never used again (ARC-S07).
type TableID uint32

const (
	// LeaseTable is the built-in hot table of leases. It cannot be written by
	// ops other than Grant and Revoke; observers see its changes.
	LeaseTable TableID = 1
	// FirstTable is the id of the first declared table.
	FirstTable TableID = 16
	// MaxTables bounds the tables that can ever be declared.
	MaxTables = 1 << 14
	// MaxTableName bounds the bytes of an owner and of a table name.
	MaxTableName = 64
)

// Table describes one declared table.
type Table struct {
	ID        TableID
	Owner     string
	Name      string
	Residency kv.Residency
}

// AppendKey appends the absolute form of a caller's key. Shift stamp offsets by
// the bytes it puts in front, KeyOffset.
func AppendKey(dst []byte, id TableID, key []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(id)), key...)
}

// KeyOffset is the number of bytes an absolute key has before the caller's.
func KeyOffset(id TableID) int { return uvarintSize(uint64(id)) }

// SplitKey returns the table of an absolute key and where the caller's key
// starts; ok is false when the key does not start with an id in its shortest
// form.
func SplitKey(abs []byte) (id TableID, offset int, ok bool) {
	v, n := binary.Uvarint(abs)
	if n <= 0 || v == 0 || v >= uint64(MaxTables) || n != uvarintSize(v) {
		return 0, 0, false
	}
	return TableID(v), n, true
}

// Tables is an immutable registry of declared tables.
type Tables struct {
	byID   []Table // index: id; ID 0: none
	byName map[string]TableID
}

// ByID finds a table by its id.
func (t *Tables) ByID(id TableID) (Table, bool) {
	if int(id) >= len(t.byID) || t.byID[id].ID == 0 {
		return Table{}, false
	}
	return t.byID[id], true
}

// ByName finds a table by its owner and name.
func (t *Tables) ByName(owner, name string) (Table, bool) {
	id, ok := t.byName[fullName(owner, name)]
	if !ok {
		return Table{}, false
	}
	return t.byID[id], true
}

// All returns the declared tables by id.
func (t *Tables) All() []Table {
	return slices.DeleteFunc(slices.Clone(t.byID), func(x Table) bool { return x.ID == 0 })
}

// With returns a registry that has the given tables too.
func (t *Tables) With(added ...Table) *Tables {
	n := &Tables{byID: slices.Clone(t.byID), byName: maps.Clone(t.byName)}
	if n.byName == nil {
		n.byName = map[string]TableID{}
	}
	for _, x := range added {
		for int(x.ID) >= len(n.byID) {
			n.byID = append(n.byID, Table{})
		}
		n.byID[x.ID] = x
		n.byName[fullName(x.Owner, x.Name)] = x.ID
	}
	return n
}

// next is the lowest id never used.
func (t *Tables) next() TableID { return max(FirstTable, TableID(len(t.byID))) }

// plan returns the tables that a declaration adds.
func (t *Tables) plan(d *Declare) ([]Table, error) {
	if !validName(d.Owner) {
		return nil, fmt.Errorf("declare: %w: owner %q", ErrInvalid, d.Owner)
	}
	var added []Table
	next := t.next()
	for _, spec := range d.Tables {
		if !validName(spec.Name) || spec.Residency != kv.Hot && spec.Residency != kv.Cold {
			return nil, fmt.Errorf("declare: %w: table %q", ErrInvalid, spec.Name)
		}
		have, ok := t.ByName(d.Owner, spec.Name)
		if !ok {
			i := slices.IndexFunc(added, func(x Table) bool { return x.Name == spec.Name })
			if ok = i >= 0; ok {
				have = added[i]
			}
		}
		switch {
		case ok && have.Residency != spec.Residency:
			return nil, fmt.Errorf("declare: %w: table %q exists with another residency", ErrInvalid, spec.Name)
		case ok:
			continue
		case next >= MaxTables:
			return nil, fmt.Errorf("declare table %q: %w: %d tables", spec.Name, kv.ErrTooLarge, MaxTables)
		}
		added = append(added, Table{ID: next, Owner: d.Owner, Name: spec.Name, Residency: spec.Residency})
		next++
	}
	return added, nil
}

func fullName(owner, name string) string { return owner + "/" + name }

func validName(s string) bool {
	if s == "" || len(s) > MaxTableName {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
