package registrytest

import (
	"context"
	"errors"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// driver runs random operations against a backend and a model.
type driver struct {
	t        *testing.T
	b        Backend
	m        *model
	versions map[registry.ServiceKey]uint64
	watchers []*watcher
}

func modelled(t *testing.T, b Backend) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		d := &driver{t: t, b: b, m: newModel(), versions: map[registry.ServiceKey]uint64{}}
		defer d.closeAll()
		d.reset(rt)
		d.watch(rt, registry.Query{})
		d.watch(rt, registry.Query{Owner: two, Name: "s*"})
		rt.Repeat(map[string]func(*rapid.T){
			"open": d.open, "publish": d.publish, "withdraw": d.withdraw, "close": d.close,
			"batch": d.batch, "read": d.read, "resume": d.resume, "": d.check,
		})
		d.empty(rt)
	})
}

func (d *driver) ctx() context.Context { return d.t.Context() }

func (d *driver) must(t *rapid.T, what string, err error) {
	if err != nil {
		t.Fatalf("%s = %v", what, err)
	}
}

// ephemeral draws a plugin and a publisher of it that may be ephemeral.
func (d *driver) ephemeral(t *rapid.T) (registry.Ephemeral, pubID) {
	id := pubID{registry.PublisherKey{Owner: drawOwner.Draw(t, "owner"), Scope: drawScope.Draw(t, "scope")}, true}
	return d.b.Ephemeral(id.Owner), id
}

func (d *driver) isRow(k registry.PublisherKey) bool {
	id := pubID{k, false}
	if _, ok := d.m.publishers[id]; ok {
		return true
	}
	for i := range d.m.instances {
		if i.pub == id {
			return true
		}
	}
	return false
}

func (d *driver) open(t *rapid.T) {
	w, id := d.ephemeral(t)
	p := registry.Publisher{Key: id.PublisherKey, Status: drawStatus.Draw(t, "status"), Info: drawInfo(t), Stale: rapid.Bool().Draw(t, "stale")}
	err := w.Open(d.ctx(), p)
	if d.isRow(id.PublisherKey) {
		if !errors.Is(err, kv.ErrConflict) {
			t.Fatalf("Open() of a persistent publisher = %v, want %v", err, kv.ErrConflict)
		}
		return
	}
	d.must(t, "Open()", err)
	d.m.publishers[id] = p
}

// opened checks that what is not open is not found.
func (d *driver) opened(t *rapid.T, id pubID, err error) bool {
	if _, ok := d.m.publishers[id]; !ok {
		if !errors.Is(err, kv.ErrNotFound) {
			t.Fatalf("call for a publisher that is not open = %v, want %v", err, kv.ErrNotFound)
		}
		return false
	}
	d.must(t, "call", err)
	return true
}

func (d *driver) publish(t *rapid.T) {
	w, id := d.ephemeral(t)
	mode := rapid.SampledFrom([]registry.Mode{registry.Merge, registry.ReplaceService}).Draw(t, "mode")
	rs := make([]registry.Registration, rapid.IntRange(0, 4).Draw(t, "n"))
	for i := range rs {
		rs[i] = drawRegistration(t)
	}
	if !d.opened(t, id, w.Publish(d.ctx(), id.PublisherKey, mode, rs)) {
		return
	}
	if mode == registry.ReplaceService {
		for i := range rs {
			maps.DeleteFunc(d.m.instances, func(k instID, _ registry.Registration) bool { return k.pub == id && k.service == rs[i].Service })
		}
	}
	for i := range rs {
		d.m.instances[idOf(id, &rs[i])] = rs[i]
	}
}

func (d *driver) withdraw(t *rapid.T) {
	w, id := d.ephemeral(t)
	k := drawKey(t)
	if d.opened(t, id, w.Withdraw(d.ctx(), id.PublisherKey, []registry.InstanceKey{k})) {
		d.m.drop(id, &k)
	}
}

func (m *model) drop(id pubID, k *registry.InstanceKey) {
	maps.DeleteFunc(m.instances, func(i instID, _ registry.Registration) bool { return i.pub == id && names(k, &i) })
}

func (m *model) dropPublisher(id pubID) {
	delete(m.publishers, id)
	maps.DeleteFunc(m.instances, func(i instID, _ registry.Registration) bool { return i.pub == id })
}

func (d *driver) close(t *rapid.T) {
	w, id := d.ephemeral(t)
	d.must(t, "Close()", w.Close(d.ctx(), []registry.PublisherKey{id.PublisherKey}))
	d.m.dropPublisher(id)
}

// batch commits some persistent operations of one plugin, all or nothing.
func (d *driver) batch(t *rapid.T) {
	owner := drawOwner.Draw(t, "owner")
	next := d.m.clone()
	var (
		ops    []registry.Op
		causes = map[int]error{}
	)
	for i := range rapid.IntRange(1, 4).Draw(t, "n") {
		op, cause := d.op(t, next, owner)
		ops = append(ops, op)
		if cause != nil {
			causes[i] = cause
		}
	}
	res, err := d.b.Txn(owner).Commit(d.ctx(), txn.Batch{Registry: ops, Actor: auth.Actor{Subject: owner}})
	d.must(t, "Commit()", err)
	if len(causes) == 0 {
		if !res.Committed {
			t.Fatalf("Commit() = %+v, want it committed", res)
		}
		d.m = next
		return
	}
	if res.Committed || len(res.Blocked) != len(causes) {
		t.Fatalf("Commit() = %+v, want refusals %v", res, causes)
	}
	for _, b := range res.Blocked {
		if !errors.Is(b.Cause, causes[b.Op]) {
			t.Fatalf("Commit(): op %d refused by %v, want %v", b.Op, b.Cause, causes[b.Op])
		}
	}
}

func (m *model) clone() *model {
	return &model{
		publishers: maps.Clone(m.publishers), instances: maps.Clone(m.instances),
		settings: maps.Clone(m.settings), overrides: maps.Clone(m.overrides),
	}
}

// reset takes away whatever a case that failed has left, so that it can be made
// smaller.
func (d *driver) reset(t *rapid.T) {
	for _, owner := range []string{one, two} {
		w := d.b.Ephemeral(owner)
		var ops []registry.Op
		for _, scope := range []string{"a", "b", "c"} {
			k := registry.PublisherKey{Scope: scope}
			d.must(t, "Close()", w.Close(d.ctx(), []registry.PublisherKey{k}))
			ops = append(ops, registry.Op{DropPublisher: &k})
		}
		for _, name := range []string{"s1", "s2", "s3", "s4"} {
			k := service(name)
			ops = append(ops, registry.Op{DropService: &k})
			for _, subset := range []string{"", "x", "y"} {
				for _, host := range []string{"h1", "h2", "H1.", "10.0.0.1", "::ffff:10.0.0.1"} {
					for port := range uint16(2) {
						o := registry.Override{Service: k, Subset: subset, Host: host, Port: port + 1}
						ops = append(ops, registry.Op{PutOverride: &registry.OverridePut{Override: o, Clear: true}})
					}
				}
			}
		}
		d.must(t, "Register()", txn.Register(d.ctx(), d.b.Txn(owner), auth.Actor{}, ops...))
	}
}

// empty takes everything away and wants nothing to be left.
func (d *driver) empty(t *rapid.T) {
	d.reset(t)
	d.m = newModel()
	d.check(t)
	for _, w := range d.watchers {
		d.drain(t, w)
	}
}
