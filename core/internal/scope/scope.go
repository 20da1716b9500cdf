// Package scope shows one owner its own tables: it implements kv.Store over the
// node and the store of a member, turning table names into ids and keys into
// absolute ones on the way in, and back on the way out (CTR-K01).
//
// The package owns no goroutine. Start reading at Scope.
package scope

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// Node commits transactions on absolute keys, and waits for quorum rounds.
type Node interface {
	Propose(ctx context.Context, t *fsm.Txn) (fsm.Outcome, error)
	Barrier(ctx context.Context, c kv.Consistency) (kv.Consistency, error)
	Declare(ctx context.Context, d *fsm.Declare) error
}

// Scope is the tables of one owner. It is immutable.
type Scope struct {
	owner  string
	node   Node
	store  *store.Store
	tables map[string]fsm.Table
}

var _ kv.Store = (*Scope)(nil)

// Open declares the tables of owner and returns its scope. It needs a leader.
func Open(ctx context.Context, owner string, tables []kv.TableSpec, n Node, s *store.Store) (*Scope, error) {
	sc := &Scope{owner: owner, node: n, store: s, tables: make(map[string]fsm.Table, len(tables))}
	if !sc.find(tables) {
		if err := n.Declare(ctx, &fsm.Declare{Owner: owner, Tables: tables}); err != nil {
			return nil, err
		}
		if !sc.find(tables) {
			return nil, fmt.Errorf("declare tables of %s: not there after the commit", owner)
		}
	}
	return sc, nil
}

// find looks the tables up and says whether all are declared as asked.
func (s *Scope) find(tables []kv.TableSpec) bool {
	for _, spec := range tables {
		t, ok := s.store.Table(s.owner, spec.Name)
		if !ok || t.Residency != spec.Residency {
			return false
		}
		s.tables[spec.Name] = t
	}
	return true
}

// Table returns a declared table.
func (s *Scope) Table(name string) (fsm.Table, error) {
	t, ok := s.tables[name]
	if !ok {
		return t, fmt.Errorf("table %s of %s: not declared", name, s.owner)
	}
	return t, nil
}

// Get implements kv.Store.
func (s *Scope) Get(_ context.Context, table string, key []byte) (*kv.Record, error) {
	return s.get(s.store.Root(), table, key)
}

func (s *Scope) get(root *store.Root, table string, key []byte) (*kv.Record, error) {
	t, err := s.Table(table)
	if err != nil {
		return nil, err
	}
	var room [128]byte
	abs := fsm.AppendKey(room[:0], t.ID, key)
	var rec *kv.Record
	if t.Residency == kv.Cold {
		if rec, err = s.store.ColdGet(abs); err != nil {
			return nil, fmt.Errorf("read %s: %w", table, err)
		}
	} else {
		rec = root.Get(abs)
	}
	if rec == nil {
		return nil, kv.ErrNotFound
	}
	return rec, nil
}

// View implements kv.Store.
func (s *Scope) View(ctx context.Context, c kv.Consistency) (kv.View, error) {
	got, err := s.node.Barrier(ctx, c)
	if err != nil {
		return nil, err
	}
	return &view{scope: s, root: s.store.Root(), consistency: got}, nil
}

// Wait implements kv.Store.
func (s *Scope) Wait(ctx context.Context, r kv.Revision) error { return s.store.Wait(ctx, r) }

// Watch implements kv.Store.
func (s *Scope) Watch(_ context.Context, w kv.Watch) (kv.Stream, error) {
	t, err := s.Table(w.Table)
	if err != nil {
		return nil, err
	}
	if t.Residency == kv.Cold {
		return nil, fmt.Errorf("watch %s: a cold table cannot be watched", w.Table)
	}
	return s.store.Watch(store.WatchOptions{Table: t.ID, Prefix: w.Prefix, After: w.After, Previous: w.Previous})
}

// Commit implements kv.Store.
func (s *Scope) Commit(ctx context.Context, t kv.Txn) (kv.Result, error) {
	if len(t.If)+len(t.Then)+len(t.Else) > kv.MaxOps {
		return kv.Result{}, fmt.Errorf("commit of %d operations: %w", len(t.If)+len(t.Then)+len(t.Else), kv.ErrTooLarge)
	}
	abs, err := s.Resolve(t)
	if err != nil {
		return kv.Result{}, err
	}
	out, err := s.node.Propose(ctx, &fsm.Txn{If: abs.If, Then: abs.Then, Else: abs.Else})
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return kv.Result{}, fmt.Errorf("commit: %w", err)
	}
	return out.Result, nil
}

// Resolve returns t on absolute keys, its tables blank.
func (s *Scope) Resolve(t kv.Txn) (kv.Txn, error) {
	out := kv.Txn{If: make([]kv.Compare, len(t.If))}
	for i, c := range t.If {
		tab, err := s.Table(c.Table)
		if err != nil {
			return kv.Txn{}, err
		}
		c.Table, c.Key = "", fsm.AppendKey(make([]byte, 0, len(c.Key)+4), tab.ID, c.Key)
		out.If[i] = c
	}
	var err error
	if out.Then, err = s.ops(t.Then); err != nil {
		return kv.Txn{}, err
	}
	out.Else, err = s.ops(t.Else)
	return out, err
}

// Place makes the keys of compares and ops absolute where they are, and leaves
// those alone that name no table: they are already.
func (s *Scope) Place(cs []kv.Compare, ops []kv.Op) error {
	for i := range cs {
		c := &cs[i]
		if c.Table == "" {
			continue
		}
		tab, err := s.Table(c.Table)
		if err != nil {
			return err
		}
		c.Table, c.Key = "", fsm.AppendKey(make([]byte, 0, len(c.Key)+4), tab.ID, c.Key)
	}
	for i := range ops {
		if ops[i].Table == "" {
			continue
		}
		if err := s.place(&ops[i]); err != nil {
			return err
		}
	}
	return nil
}

// place makes the key of an op absolute.
func (s *Scope) place(o *kv.Op) error {
	tab, err := s.Table(o.Table)
	if err != nil {
		return err
	}
	o.Table, o.Key = "", fsm.AppendKey(make([]byte, 0, len(o.Key)+4), tab.ID, o.Key)
	if o.StampKey > 0 {
		o.StampKey += int32(fsm.KeyOffset(tab.ID))
	}
	return nil
}

func (s *Scope) ops(ops []kv.Op) ([]kv.Op, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	out := make([]kv.Op, len(ops))
	for i, o := range ops {
		if o.Kind == fsm.Count {
			return nil, fmt.Errorf("kind %d: %w", o.Kind, fsm.ErrInvalid) // of core alone: its prefix may be anybody's
		}
		out[i] = o
		if o.Kind == kv.Grant || o.Kind == kv.Revoke {
			out[i].Table = ""
			continue
		}
		if err := s.place(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
