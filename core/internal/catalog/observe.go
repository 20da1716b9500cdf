package catalog

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Rows shows an engine what is persistent: it is the store.Observer of one.
type Rows struct {
	engine *Engine
	store  *store.Store
	tables tables
}

// tables are the ids, once they are declared.
type tables struct{ publisher, instance, service, override fsm.TableID }

var _ store.Observer = (*Rows)(nil)

// Observe returns the observer that brings rows into an engine.
func Observe(e *Engine) *Rows { return &Rows{engine: e} }

// find looks the table ids up.
func (o *Rows) find() {
	id := func(name string) fsm.TableID {
		t, _ := o.store.Table(Owner, name)
		return t.ID
	}
	o.tables = tables{id(TablePublisher), id(TableInstance), id(TableService), id(TableOverride)}
}

// Rebuild implements store.Observer. What is ephemeral stays; a service that
// comes out as it was is one change for those who watch.
func (o *Rows) Rebuild(s *store.Store) error {
	o.store = s
	o.find()
	e := o.engine
	e.begin()
	defer e.mu.Unlock()
	var changed touched
	e.clear(&changed)
	if o.tables.publisher == 0 {
		changed.all(e.touch)
		return nil
	}
	var failed error
	scan := func(t fsm.TableID, take func(*kv.Record) error) {
		s.Root().Scan(fsm.AppendKey(nil, t, nil), nil, false, func(r *kv.Record) bool {
			if err := take(r); err != nil {
				failed = fmt.Errorf("read registry row %q: %w", r.Key, err)
			}
			return failed == nil
		})
	}
	scan(o.tables.override, func(r *kv.Record) error { return e.overrideRow(r, false, &changed) })
	scan(o.tables.publisher, func(r *kv.Record) error { return e.publisherRow(r, false, &changed) })
	scan(o.tables.service, func(r *kv.Record) error { return e.serviceRow(r, false, &changed) })
	scan(o.tables.instance, func(r *kv.Record) error { return e.instanceRow(r, false, &changed) })
	changed.all(e.touch)
	return failed
}

// clear takes all that is persistent away.
func (e *Engine) clear(changed *touched) {
	e.publishers.each(func(p *publisher) {
		if !p.pub.Ephemeral {
			e.end(p, changed)
		}
	})
	for s := e.oldest; s != nil; s = s.next {
		if s.settings != nil {
			s.settings = nil
			changed.add(s)
		}
	}
	for k, in := range e.overrides {
		for a := range in {
			e.lay(overrideKey{k, a.subset, a.host, a.port}, nil, changed)
		}
	}
}

// Applied implements store.Observer.
func (o *Rows) Applied(rev kv.Revision, changes []fsm.Change) {
	if o.tables.publisher == 0 {
		o.find()
	}
	if !o.concerns(changes) {
		return
	}
	e := o.engine
	e.begin()
	defer e.mu.Unlock()
	var changed touched
	for i := range changes {
		c := &changes[i]
		var err error
		switch c.Table {
		case 0:
		case o.tables.publisher:
			err = e.publisherRow(c.Record, c.Deleted, &changed)
		case o.tables.instance:
			err = e.instanceRow(c.Record, c.Deleted, &changed)
		case o.tables.service:
			err = e.serviceRow(c.Record, c.Deleted, &changed)
		case o.tables.override:
			err = e.overrideRow(c.Record, c.Deleted, &changed)
		}
		if err != nil {
			// Rows are written by this build's codec; whatever this is, the
			// others must not wait for it.
			e.settings.Logger.Error("registry row not understood", zap.Binary("key", c.Record.Key), zap.Error(err))
		}
	}
	changed.all(func(s *service) {
		s.revision = max(s.revision, rev)
		e.touch(s)
	})
}

// concerns says whether a revision changed anything here; most change configs or
// a plugin's own.
func (o *Rows) concerns(changes []fsm.Change) bool {
	t := &o.tables
	for i := range changes {
		if id := changes[i].Table; id != 0 && (id == t.publisher || id == t.instance || id == t.service || id == t.override) {
			return true
		}
	}
	return false
}

// persistent returns a publisher of rows, made when it is not there: one that
// was never written is legal, passing and without info.
func (e *Engine) persistent(k registry.PublisherKey) *publisher {
	if p := e.publisher(k, false); p != nil {
		return p
	}
	p := &publisher{pub: barePublisher(registry.PublisherKey{Owner: e.intern.text(k.Owner), Scope: clone(k.Scope)})}
	e.publishers.add(p.hash(), p)
	return p
}

func barePublisher(k registry.PublisherKey) *registry.Publisher {
	return &registry.Publisher{Key: k, Status: registry.Passing}
}

// publisherRow follows one row of the publishers.
func (e *Engine) publisherRow(r *kv.Record, deleted bool, changed *touched) error {
	k, err := parsePublisherRow(r.Key)
	if err != nil {
		return err
	}
	if deleted {
		p := e.publisher(k, false)
		switch {
		case p == nil:
		case p.len() == 0:
			e.publishers.drop(p.hash(), p)
		default:
			e.replace(p, barePublisher(p.pub.Key), changed)
		}
		return nil
	}
	next, err := decodePublisher(k, r)
	if err != nil {
		return err
	}
	p := e.persistent(k)
	next.Key, next.Info = p.pub.Key, e.info(next.Info)
	e.replace(p, next, changed)
	return nil
}

// serviceRow follows one row of the settings.
func (e *Engine) serviceRow(r *kv.Record, deleted bool, changed *touched) error {
	k, err := parseServiceRow(r.Key)
	if err != nil {
		return err
	}
	if deleted {
		if s := e.find(&k); s != nil && s.settings != nil {
			s.settings = nil
			changed.add(s)
		}
		return nil
	}
	settings, err := DecodeService(k, r)
	if err != nil {
		return err
	}
	s := e.service(&k)
	settings.Key = s.key
	s.settings, s.revision = settings, max(s.revision, r.Modified)
	changed.add(s)
	return nil
}

// instanceRow follows one row of the instances.
func (e *Engine) instanceRow(r *kv.Record, deleted bool, changed *touched) error {
	k, err := parseInstanceRow(r.Key)
	if err != nil {
		return err
	}
	if deleted {
		e.dropRow(&k, changed)
		return nil
	}
	reg, err := DecodeInstance(r.Value)
	if err != nil {
		return err
	}
	reg.Subset = k.Subset
	if k.ID != HostPort(reg.Host, reg.Port) {
		reg.ID = k.ID
	}
	p, s := e.persistent(k.Publisher), e.service(&k.Service)
	name := ident{service: s, subset: k.Subset, id: k.ID}
	at := p.find(&name)
	var old *registry.Instance
	if at != nil {
		old = at.instance
	}
	rare := cloneRare(e.rare(k.Publisher.Owner, &reg, nil))
	rare.Created, rare.Modified = r.Created, r.Modified
	in := e.build(p.pub, &reg, rare, old)
	if at == nil {
		p.add(&name, in)
	} else {
		at.instance = in
	}
	s.revision = max(s.revision, r.Modified)
	e.put(s, old, in)
	changed.add(s)
	return nil
}

// cloneRare is a copy to be completed.
func cloneRare(r *registry.Rare) *registry.Rare {
	if r == nil {
		return new(registry.Rare)
	}
	c := *r
	return &c
}

func (e *Engine) dropRow(k *registry.InstanceKey, changed *touched) {
	p := e.publisher(k.Publisher, false)
	s := e.find(&k.Service)
	if p == nil || s == nil {
		return
	}
	at := p.find(&ident{service: s, subset: k.Subset, id: k.ID})
	if at == nil {
		return
	}
	in := at.instance
	e.take(s, in)
	p.cut(func(pl *placed) bool { return pl.instance == in })
	if p.len() == 0 && p.pub.Modified == 0 {
		e.publishers.drop(p.hash(), p)
	}
	changed.add(s)
}

// Persistent says whether a publisher may be written through a batch, and how
// many instances it has.
func (e *Engine) Persistent(k registry.PublisherKey) (ok bool, instances int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.publisher(k, false); p != nil {
		instances = p.len()
	}
	return e.publisher(k, true) == nil, instances
}
