package fsm

import (
	"slices"

	"github.com/tidwall/btree"

	"github.com/easynet-cn/batata/core/kv"
)

// Rows are the hot rows by absolute key: a copy-on-write tree.
type Rows = btree.Map[string, *kv.Record]

// ColdRow is a cold row that is perhaps not on disk yet. A dead one stands for a
// deletion: its Record has Key and Modified only.
type ColdRow struct {
	Record *kv.Record
	Dead   bool
}

// Memtable holds cold rows by absolute key: a copy-on-write tree.
type Memtable = btree.Map[string, ColdRow]

// Cold reads the cold rows beneath the machine's own memtable. An error means
// that the state cannot be read and stops the machine.
type Cold interface {
	// Get returns nil for an absent row.
	Get(abs string) (*kv.Record, error)
	// Scan calls fn for the rows with a prefix in key order, those of top in
	// front of all others, until fn returns false.
	Scan(top *Memtable, prefix string, fn func(abs string, r *kv.Record) bool) error
}

// Machine is the state of one member and what changes it. It belongs to one
// goroutine; what HotRows and ColdRows return may be read by others.
type Machine struct {
	hot     *Rows
	cold    *Memtable
	disk    Cold
	tables  *Tables
	leases  attachments
	changed []kv.Revision // by table id
	rev     kv.Revision

	room     slab     // for the rows of cold
	undo     []step   // of the command being applied
	repeated bool     // undo may hold a row twice
	changes  []Change // since Forget
	from     int      // where those of the last command start
	declared []Table  // by the last command
	keys     []string // scratch
	fatal    error    // cold rows could not be read
}

// NewMachine returns an empty state above the given cold rows.
func NewMachine(disk Cold) *Machine {
	return &Machine{hot: newTree[*kv.Record](), cold: newTree[ColdRow](), disk: disk, tables: new(Tables), leases: attachments{}}
}

// Apply runs one command. An error other than the outcome's own means that cold
// rows could not be read: nothing changed, and nothing may be applied after it.
func (m *Machine) Apply(c *Command) (Outcome, error) {
	m.from, m.declared, m.fatal = len(m.changes), nil, nil
	out := Outcome{ID: c.ID}
	switch {
	case c.Txn != nil:
		m.transact(c.Txn, &out)
	case c.Declare != nil:
		m.declared, out.Err = m.tables.plan(c.Declare)
		m.LoadTables(m.declared...)
	default:
		out.Err = ErrMalformed
	}
	out.Result.Revision = m.rev
	return out, m.fatal
}

func (m *Machine) transact(t *Txn, out *Outcome) {
	if out.Err = check(t, m.tables); out.Err != nil {
		return
	}
	if out.Guards, out.Err = m.compare(t.Guards); out.Err != nil || len(out.Guards) > 0 {
		return
	}
	failed, err := m.compare(t.If)
	if err != nil {
		out.Err = err
		return
	}
	ops := t.Then
	if len(failed) > 0 {
		ops = t.Else
	}
	bounds, err := m.run(ops)
	if err != nil || len(bounds) > 0 {
		m.rollback()
	}
	if out.Err = err; err != nil {
		return
	}
	for _, i := range bounds {
		failed = append(failed, len(t.If)+i)
	}
	out.Result.Failed = failed
	out.Result.Committed = len(failed) == 0
	m.commit()
}

// run applies ops in order and returns the Adds that left their bounds.
func (m *Machine) run(ops []kv.Op) (bounds []int, err error) {
	m.undo, m.repeated = m.undo[:0], false
	for i := range ops {
		if ops[i].IfChanged && len(m.undo) == 0 {
			continue
		}
		within, err := m.do(&ops[i])
		if err == nil {
			err = m.fatal
		}
		if err != nil {
			return nil, err
		}
		if !within {
			bounds = append(bounds, i)
		}
	}
	return bounds, nil
}

// commit makes a revision of the steps taken, if there are any.
func (m *Machine) commit() {
	if len(m.undo) == 0 {
		return
	}
	m.rev++
	for i := range m.undo {
		s := &m.undo[i]
		for int(s.table) >= len(m.changed) {
			m.changed = append(m.changed, 0)
		}
		m.changed[s.table] = m.rev
	}
	m.collect()
	m.undo = reuse(m.undo)
}

// Changes returns what the last command changed, in the order of its ops. It is
// valid until Forget.
func (m *Machine) Changes() []Change { return m.changes[m.from:] }

// Forget drops the changes of all commands so far. Call it once per batch.
func (m *Machine) Forget() { m.changes, m.from = reuse(m.changes), 0 }

// reuse empties a scratch slice, and gives a huge one back.
func reuse[T any](s []T) []T {
	const most = 4096
	if cap(s) > most {
		return nil
	}
	clear(s)
	return s[:0]
}

// Declared returns the tables that the last command added.
func (m *Machine) Declared() []Table { return m.declared }

// Revision returns the current revision.
func (m *Machine) Revision() kv.Revision { return m.rev }

// Tables returns the declared tables.
func (m *Machine) Tables() *Tables { return m.tables }

// Changed returns a copy of the last revision that changed each table, by id.
func (m *Machine) Changed() []kv.Revision { return slices.Clone(m.changed) }

// HotRows returns a copy that later commands leave alone.
func (m *Machine) HotRows() *Rows { return m.hot.Copy() }

// ColdRows returns a copy of the memtable that later commands leave alone.
func (m *Machine) ColdRows() *Memtable { return m.cold.Copy() }

// Rotate returns the memtable and starts a new one. The caller keeps the rows
// readable through Cold until they are on disk.
func (m *Machine) Rotate() *Memtable {
	old := m.cold
	m.cold, m.room = newTree[ColdRow](), slab{}
	return old
}

// newTree returns an empty tree of nodes half the usual size: after each batch
// the nodes on the way to a changed row are copied, and small ones copy faster.
func newTree[V any]() *btree.Map[string, V] { return btree.NewMap[string, V](16) }

// LoadRow adds a hot row while the state is read from disk. Rows come in key
// order; abs shares memory with r.
func (m *Machine) LoadRow(abs string, r *kv.Record) {
	m.hot.Load(abs, r)
	m.leases.move(abs, 0, r.Lease)
}

// LoadTables adds tables while the state is read from disk.
func (m *Machine) LoadTables(tables ...Table) {
	if len(tables) > 0 {
		m.tables = m.tables.With(tables...)
	}
}

// LoadRevision sets the revision, and the last change of each table by id, while
// the state is read from disk.
func (m *Machine) LoadRevision(rev kv.Revision, changed []kv.Revision) {
	m.rev, m.changed = rev, changed
}
