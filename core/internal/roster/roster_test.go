package roster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local commits to a real store without raft.
type local struct {
	mu    sync.Mutex // guards index
	index uint64
	store *store.Store
	// before, when set, runs once before the next commit.
	before func()
}

func (l *local) commit(c *fsm.Command) (fsm.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	c.ID = l.index
	outs, err := l.store.Apply([]store.Committed{{Index: l.index, Term: 1, Data: fsm.AppendCommand(fsm.AppendHeader(nil), c)}})
	if err != nil {
		return fsm.Outcome{}, err
	}
	return outs[0], nil
}

func (l *local) Propose(_ context.Context, t *fsm.Txn) (fsm.Outcome, error) {
	if f := l.before; f != nil {
		l.before = nil
		f()
	}
	return l.commit(&fsm.Command{Txn: t})
}

func (l *local) Declare(_ context.Context, d *fsm.Declare) error {
	_, err := l.commit(&fsm.Command{Declare: d})
	return err
}

func (*local) Barrier(_ context.Context, c kv.Consistency) (kv.Consistency, error) { return c, nil }

// start returns a roster on a store of its own, and the tables to write to.
func start(t *testing.T) (*Roster, kv.Store, *local) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r := New("core", func() {}, zap.NewNop())
	if err := s.Observe(r); err != nil {
		t.Fatal(err)
	}
	l := &local{store: s}
	sc, err := scope.Open(t.Context(), "core", Tables(), l, s)
	if err != nil {
		t.Fatal(err)
	}
	return r, sc, l
}

func put(t *testing.T, r *Roster, st kv.Store, id uint64, address string) *Entry {
	t.Helper()
	e, err := r.Put(t.Context(), st, id, Profile{Address: address})
	if err != nil {
		t.Fatalf("Put(%d) = %v", id, err)
	}
	return e
}

// ARC-R05: a member is added, changed, on its way out and gone for good.
func TestLife(t *testing.T) {
	r, st, _ := start(t)
	e := put(t, r, st, 7, "a:1")
	if e.Slot != 1 || e.Standing != Present || e.Address != "a:1" {
		t.Errorf("Put() = %+v", e)
	}
	rev := e.Since
	if again := put(t, r, st, 7, "a:1"); again.Since != rev {
		t.Errorf("Put() of the same moved the row from %d to %d", rev, again.Since)
	}
	if moved := put(t, r, st, 7, "a:2"); moved.Address != "a:2" || moved.Slot != 1 {
		t.Errorf("Put() of another address = %+v", moved)
	}
	var taken *AddressError
	if _, err := r.Put(t.Context(), st, 8, Profile{Address: "a:2"}); !errors.As(err, &taken) || taken.Holder != 7 {
		t.Errorf("Put() with the address of another = %v, want an error that names it", err)
	}
	if err := r.Move(t.Context(), st, 7, Leaving); err != nil {
		t.Fatal(err)
	}
	if e := r.View().Find(7); e.Standing != Leaving || len(r.View().List()) != 1 {
		t.Errorf("Find() = %+v, want it on its way out and still there", e)
	}
	if err := r.Move(t.Context(), st, 7, Removed); err != nil {
		t.Fatal(err)
	}
	if err := r.Move(t.Context(), st, 7, Leaving); err != nil || r.View().Find(7).Standing != Removed {
		t.Errorf("Move() back = %v, %+v, want it to stay removed", err, r.View().Find(7))
	}
	if v := r.View(); len(v.List()) != 0 || v.At("a:2") != nil || len(v.Addresses()) != 0 {
		t.Errorf("a removed member is still shown: %+v", v.List())
	}
	if _, err := r.Put(t.Context(), st, 7, Profile{Address: "a:2"}); !errors.Is(err, ErrRemoved) {
		t.Errorf("Put() of a removed member = %v, want %v", err, ErrRemoved)
	}
	put(t, r, st, 8, "a:2")
	if err := r.Move(t.Context(), st, 99, Leaving); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Move() of nobody = %v, want %v", err, kv.ErrNotFound)
	}
	if _, err := r.Put(t.Context(), st, 9, Profile{Address: "b", Version: strings.Repeat("x", maxProfile)}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Put() of a large profile = %v, want %v", err, kv.ErrTooLarge)
	}
}

// BRG-IDX-04: slots are unique among those who are present, and come back as
// late as can be.
func TestSlots(t *testing.T) {
	r, st, _ := start(t)
	put(t, r, st, 1, "1")
	put(t, r, st, 2, "2")
	for _, id := range []uint64{1, 2} {
		if err := r.Move(t.Context(), st, id, Removed); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint8]bool{}
	for i := range 255 {
		id := uint64(i + 10)
		e := put(t, r, st, id, fmt.Sprint(id))
		if want := uint8((i+2)%255 + 1); e.Slot != want || seen[e.Slot] {
			t.Fatalf("slot of member %d = %d, want %d", id, e.Slot, want)
		}
		seen[e.Slot] = true
	}
	if _, err := r.Put(t.Context(), st, 9999, Profile{Address: "x"}); !errors.Is(err, ErrFull) {
		t.Errorf("Put() of number 256 = %v, want %v", err, ErrFull)
	}
	if err := r.Move(t.Context(), st, 100, Removed); err != nil {
		t.Fatal(err)
	}
	gone := r.View().Find(100)
	if e := put(t, r, st, 9999, "x"); e.Slot != 93 {
		t.Errorf("slot = %d, want the free one, 93 (%+v)", e.Slot, gone)
	}
}

// Two that are added at once get two slots: the second is worked out anew.
func TestOvertaken(t *testing.T) {
	r, st, l := start(t)
	l.before = func() { put(t, r, st, 2, "2") }
	e := put(t, r, st, 1, "1")
	if other := r.View().Find(2); e.Slot == other.Slot || e.Slot != 2 {
		t.Errorf("slots = %d, %d, want 2, 1", e.Slot, other.Slot)
	}
}

// Those that were removed longest ago are forgotten.
func TestForget(t *testing.T) {
	r, st, _ := start(t)
	for i := range maxRemoved + 20 {
		id := uint64(i + 1)
		put(t, r, st, id, fmt.Sprint(id))
		if err := r.Move(t.Context(), st, id, Removed); err != nil {
			t.Fatal(err)
		}
	}
	v := r.View()
	if len(v.list) != maxRemoved || v.Find(20) != nil || v.Find(21) == nil {
		t.Errorf("remembered = %d, first %v, want %d from 21 on", len(v.list), v.list[0].ID, maxRemoved)
	}
}

// A row that is not understood hides nobody else.
func TestStrangeRow(t *testing.T) {
	r, st, _ := start(t)
	put(t, r, st, 1, "1")
	for key, value := range map[string]string{string(memberKey(2)): "{", "x": "", string(memberKey(3)) + "x": "{}"} {
		_, err := st.Commit(t.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: table, Key: []byte(key), Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if l := r.View().List(); len(l) != 1 || l[0].ID != 1 {
		t.Errorf("List() = %+v, want member 1", l)
	}
}
