// Package roster keeps who the members of the cluster are: what each of them
// tells about itself, the small number that stamps are made of (BRG-IDX-04), and
// whether it is on its way out. It is a replicated table, written by ordinary
// transactions; who has a vote is raft's own knowledge and stands elsewhere.
//
// The row of a member that was removed stays, so that its id never comes back
// and so that it can be told (ARC-R05, ARC-R12).
//
// A Roster owns no goroutine. It follows the rows as a store.Observer; readers
// take an immutable View. Start reading at View, then Put.
package roster

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

const (
	table = "members"
	// maxAttempts bounds how often a write starts again because others were
	// faster.
	maxAttempts = 16
	// maxRemoved is how many removed members are remembered.
	maxRemoved = 256
	// maxProfile bounds the encoded row of a member.
	maxProfile = 64 << 10
)

// Tables declares what the package keeps.
func Tables() []kv.TableSpec { return []kv.TableSpec{{Name: table, Residency: kv.Hot}} }

// Standing says where a member is in its life.
type Standing string

const (
	// Present is a member like any other.
	Present Standing = ""
	// Leaving is one that is to be removed as soon as may be.
	Leaving Standing = "leaving"
	// Removed is one that is gone for good.
	Removed Standing = "removed"
)

// Profile is what a member tells about itself.
type Profile struct {
	Address   string            `json:"address"` // of its peer port
	Name      string            `json:"name,omitempty"`
	Addresses map[string]string `json:"addresses,omitempty"` // listener → host:port
	Meta      map[string]string `json:"meta,omitempty"`
	Features  []string          `json:"features,omitempty"`
	Version   string            `json:"version,omitempty"`
}

// Equal says whether two members tell the same.
func (p *Profile) Equal(o *Profile) bool {
	return p.Address == o.Address && p.Name == o.Name && p.Version == o.Version &&
		maps.Equal(p.Addresses, o.Addresses) && maps.Equal(p.Meta, o.Meta) && slices.Equal(p.Features, o.Features)
}

// Entry is one member. Entries are shared and must not be changed.
type Entry struct {
	ID       uint64
	Slot     uint8 // 1 to 255, of no other member that is present
	Standing Standing
	Since    kv.Revision // of the last change
	Profile
}

// row is the stored form.
type row struct {
	Slot     uint8    `json:"slot"`
	Standing Standing `json:"standing,omitempty"`
	Profile
}

// View is the members at one revision.
type View struct {
	list   []*Entry
	byID   map[uint64]*Entry
	last   uint8       // slot that was given last
	lastAt kv.Revision // when
}

// List returns the members by id, without those that are gone.
func (v *View) List() []*Entry {
	return slices.DeleteFunc(slices.Clone(v.list), func(e *Entry) bool { return e.Standing == Removed })
}

// Find returns a member, also one that is gone; nil for an id that never was.
func (v *View) Find(id uint64) *Entry { return v.byID[id] }

// At returns the member that is present with a peer address; nil when none is.
func (v *View) At(address string) *Entry {
	for _, e := range v.list {
		if e.Standing != Removed && e.Address == address {
			return e
		}
	}
	return nil
}

// Addresses are the peer addresses of those that are present.
func (v *View) Addresses() map[uint64]string {
	out := make(map[uint64]string, len(v.list))
	for _, e := range v.list {
		if e.Standing != Removed {
			out[e.ID] = e.Address
		}
	}
	return out
}

// Drops tells, for a store.Renewal, which rows another cluster does not take over:
// those of all members but the ones named. Slots that were given stay given.
func Drops(owner string, keep ...uint64) func(t fsm.Table) func(key []byte) bool {
	return func(t fsm.Table) func([]byte) bool {
		if t.Owner != owner || t.Name != table {
			return nil
		}
		return func(key []byte) bool {
			kind, rest, err := tuple.String(key)
			if err != nil || kind != keyMember || len(rest) != 8 {
				return false
			}
			return !slices.Contains(keep, binary.BigEndian.Uint64(rest))
		}
	}
}

// Roster follows the table.
type Roster struct {
	owner   string
	changed func()
	logger  *zap.Logger
	store   *store.Store
	view    atomic.Pointer[View]
}

var _ store.Observer = (*Roster)(nil)

// New returns a roster of the table of owner. changed is called, in the goroutine
// that applies, after the view has moved.
func New(owner string, changed func(), logger *zap.Logger) *Roster {
	r := &Roster{owner: owner, changed: changed, logger: logger}
	r.view.Store(&View{})
	return r
}

// View returns the members as they are now.
func (r *Roster) View() *View { return r.view.Load() }

// Rebuild implements store.Observer.
func (r *Roster) Rebuild(s *store.Store) error {
	r.store = s
	r.read()
	return nil
}

// Applied implements store.Observer.
func (r *Roster) Applied(_ kv.Revision, changes []fsm.Change) {
	t, ok := r.store.Table(r.owner, table)
	if !ok {
		return
	}
	if slices.ContainsFunc(changes, func(c fsm.Change) bool { return c.Table == t.ID }) {
		r.read()
	}
}

// read makes the view anew; the rows are few.
func (r *Roster) read() {
	v := &View{byID: map[uint64]*Entry{}}
	if t, ok := r.store.Table(r.owner, table); ok {
		r.store.Root().Scan(fsm.AppendKey(nil, t.ID, nil), nil, false, func(rec *kv.Record) bool {
			if err := v.add(rec); err != nil {
				r.logger.Error("row of a member not understood", zap.Binary("key", rec.Key), zap.Error(err))
			}
			return true
		})
	}
	r.view.Store(v)
	r.changed()
}

// The kinds of key.
const (
	keyMember = "m"
	keySlot   = "slot"
)

func memberKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(tuple.AppendString(nil, keyMember), id)
}

func slotKey() []byte { return tuple.AppendString(nil, keySlot) }

func (v *View) add(rec *kv.Record) error {
	kind, rest, err := tuple.String(rec.Key)
	if err != nil {
		return err
	}
	if kind == keySlot && len(rec.Value) == 1 {
		v.last, v.lastAt = rec.Value[0], rec.Modified
		return nil
	}
	if kind != keyMember || len(rest) != 8 {
		return errors.New("unknown kind of row")
	}
	var x row
	if err := json.Unmarshal(rec.Value, &x); err != nil {
		return err
	}
	e := &Entry{ID: binary.BigEndian.Uint64(rest), Slot: x.Slot, Standing: x.Standing, Since: rec.Modified, Profile: x.Profile}
	v.list = append(v.list, e)
	v.byID[e.ID] = e
	return nil
}

// ErrRemoved reports a member that was removed and wants to be one again.
var ErrRemoved = errors.New("the member was removed from the cluster")

// ErrFull reports that every slot is taken.
var ErrFull = fmt.Errorf("255 members are present: %w", kv.ErrOverloaded)

// AddressError reports an address that another member has.
type AddressError struct {
	Address string
	Holder  uint64
}

// Error implements error.
func (e *AddressError) Error() string {
	return fmt.Sprintf("address %s belongs to member %016x", e.Address, e.Holder)
}

// Put adds a member or changes what is known of it. It reads the local state, so
// call it where that is up to date: on the leader.
func (r *Roster) Put(ctx context.Context, st kv.Store, id uint64, p Profile) (*Entry, error) {
	err := r.update(ctx, st, func(v *View) ([]kv.Compare, []kv.Op, error) {
		if holder := v.At(p.Address); holder != nil && holder.ID != id {
			return nil, nil, &AddressError{Address: p.Address, Holder: holder.ID}
		}
		switch e := v.Find(id); {
		case e == nil:
			return v.insert(id, p)
		case e.Standing == Removed:
			return nil, nil, ErrRemoved
		case e.Equal(&p):
			return nil, nil, nil
		default:
			return e.replace(row{Slot: e.Slot, Standing: e.Standing, Profile: p})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("keep member %016x: %w", id, err)
	}
	return r.View().Find(id), nil
}

// Move changes where a member is in its life; never back.
func (r *Roster) Move(ctx context.Context, st kv.Store, id uint64, to Standing) error {
	err := r.update(ctx, st, func(v *View) ([]kv.Compare, []kv.Op, error) {
		e := v.Find(id)
		switch {
		case e == nil:
			return nil, nil, kv.ErrNotFound
		case e.Standing == to || e.Standing == Removed:
			return nil, nil, nil
		}
		x := row{Slot: e.Slot, Standing: to, Profile: e.Profile}
		if to == Removed {
			x = row{Standing: to, Profile: Profile{Address: e.Address, Name: e.Name}}
		}
		ifs, ops, err := e.replace(x)
		if to == Removed {
			ops = append(ops, v.forget()...)
		}
		return ifs, ops, err
	})
	if err != nil {
		return fmt.Errorf("member %016x: %w", id, err)
	}
	return nil
}

// update commits what plan makes of the present members, again when others were
// faster. No ops is no change.
func (r *Roster) update(ctx context.Context, st kv.Store, plan func(*View) ([]kv.Compare, []kv.Op, error)) error {
	for range maxAttempts {
		ifs, ops, err := plan(r.View())
		if err != nil || len(ops) == 0 {
			return err
		}
		res, err := st.Commit(ctx, kv.Txn{If: ifs, Then: ops})
		if err != nil {
			return err
		}
		if res.Committed {
			return nil
		}
	}
	return kv.ErrConflict
}

func (e *Entry) replace(x row) ([]kv.Compare, []kv.Op, error) {
	b, err := encode(x)
	if err != nil {
		return nil, nil, err
	}
	key := memberKey(e.ID)
	return []kv.Compare{unchanged(key, e.Since)}, []kv.Op{{Kind: kv.Put, Table: table, Key: key, Value: b}}, nil
}

// insert gives a new member the next slot that is free. Those of members that
// have gone come back as late as can be.
func (v *View) insert(id uint64, p Profile) ([]kv.Compare, []kv.Op, error) {
	used := map[uint8]bool{}
	for _, e := range v.list {
		used[e.Slot] = e.Standing != Removed
	}
	slot := v.last
	for range 255 {
		if slot++; slot == 0 {
			slot = 1
		}
		if !used[slot] {
			b, err := encode(row{Slot: slot, Profile: p})
			if err != nil {
				return nil, nil, err
			}
			key := memberKey(id)
			return []kv.Compare{unchanged(key, 0), unchanged(slotKey(), v.lastAt)}, []kv.Op{
				{Kind: kv.Put, Table: table, Key: key, Value: b},
				{Kind: kv.Put, Table: table, Key: slotKey(), Value: []byte{slot}},
			}, nil
		}
	}
	return nil, nil, ErrFull
}

// forget drops the members that were removed longest ago, beyond those that are
// remembered.
func (v *View) forget() (ops []kv.Op) {
	gone := slices.DeleteFunc(slices.Clone(v.list), func(e *Entry) bool { return e.Standing != Removed })
	slices.SortFunc(gone, func(a, b *Entry) int { return cmp.Compare(a.Since, b.Since) })
	for len(gone) >= maxRemoved {
		ops = append(ops, kv.Op{Kind: kv.Delete, Table: table, Key: memberKey(gone[0].ID)})
		gone = gone[1:]
	}
	return ops
}

func unchanged(key []byte, at kv.Revision) kv.Compare {
	return kv.Compare{Table: table, Key: key, Target: kv.Modified, Rel: kv.Equal, Num: uint64(at)}
}

func encode(x row) ([]byte, error) {
	b, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	if len(b) > maxProfile {
		return nil, fmt.Errorf("what it tells about itself takes %d bytes: %w", len(b), kv.ErrTooLarge)
	}
	return b, nil
}
