package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// ephemeral is the engine as one plugin writes it.
type ephemeral struct {
	engine *Engine
	owner  string
}

var _ registry.Ephemeral = (*ephemeral)(nil)

// maxPublishers bounds those of a member; most have one instance.
const maxPublishers = registry.MaxInstances

// Ephemeral returns the writing side for one plugin; whatever it writes carries
// its name (CTR-M07).
func (e *Engine) Ephemeral(owner string) registry.Ephemeral {
	return &ephemeral{engine: e, owner: owner}
}

// claim fills the owner of a key in, and refuses another one's.
func claim(owner string, k *registry.PublisherKey) error {
	if k.Owner != "" && k.Owner != owner {
		return fmt.Errorf("publisher %s of %s: %w", k.Scope, k.Owner, kv.ErrForeign)
	}
	k.Owner = owner
	return checkPublisher(k)
}

// Open implements registry.Ephemeral.
func (w *ephemeral) Open(_ context.Context, p registry.Publisher) error {
	e := w.engine
	if err := claim(w.owner, &p.Key); err != nil {
		return fmt.Errorf("open publisher: %w", err)
	}
	if err := CheckInfo(&p); err != nil {
		return fmt.Errorf("open publisher %s: %w", p.Key.Scope, err)
	}
	if p.Member != 0 && p.Member != e.settings.Member {
		return fmt.Errorf("open publisher %s: member %016x: %w", p.Key.Scope, p.Member, kv.ErrNotFound)
	}
	e.begin()
	defer e.mu.Unlock()
	if e.publisher(p.Key, false) != nil {
		return fmt.Errorf("open publisher %s: it is persistent: %w", p.Key.Scope, kv.ErrConflict)
	}
	p.Ephemeral, p.Free, p.Member, p.Modified = true, p.Member == 0, e.settings.Member, 0
	if have := e.publisher(p.Key, true); have != nil {
		if samePublisher(have.pub, &p) {
			return nil
		}
		p.Key = have.pub.Key
		p.Info = e.info(p.Info)
		var changed touched
		e.takeOver(have, &p, &changed)
		changed.all(e.touch)
		e.note(have, true, false)
		return nil
	}
	p.Key = registry.PublisherKey{Owner: w.owner, Scope: clone(p.Key.Scope)}
	p.Info = e.info(p.Info)
	if e.publishers.live >= maxPublishers {
		return e.meters.refuse(fmt.Errorf("open publisher %s: there are %d: %w", p.Key.Scope, maxPublishers, kv.ErrOverloaded))
	}
	made := &publisher{pub: &p}
	e.publishers.add(made.hash(), made)
	e.note(made, true, false)
	return nil
}

// takeOver is replace for a publisher that another member may own: clients speak
// to this one now.
func (e *Engine) takeOver(p *publisher, next *registry.Publisher, changed *touched) {
	had := e.owns(p)
	e.replace(p, next, changed)
	if !had {
		e.rewatch(p)
	}
}

// replace gives a publisher and all its instances a newer state.
func (e *Engine) replace(p *publisher, next *registry.Publisher, changed *touched) {
	p.pub = next
	all := p.all()
	for i := range all {
		pl := &all[i]
		in := withPublisher(pl.instance, next)
		e.put(pl.service, pl.instance, in)
		pl.instance = in
		changed.add(pl.service)
	}
}

// open returns an ephemeral publisher of this plugin.
func (w *ephemeral) open(k registry.PublisherKey) (*publisher, error) {
	if p := w.engine.publisher(k, true); p != nil {
		if !w.engine.owns(p) {
			return nil, fmt.Errorf("publisher %s: %w", k.Scope, ErrElsewhere)
		}
		return p, nil
	}
	return nil, fmt.Errorf("publisher %s: %w", k.Scope, kv.ErrNotFound)
}

// Publish implements registry.Ephemeral.
func (w *ephemeral) Publish(_ context.Context, k registry.PublisherKey, mode registry.Mode, rs []registry.Registration) error {
	e := w.engine
	if err := claim(w.owner, &k); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if mode != registry.Merge && mode != registry.ReplaceService {
		return fmt.Errorf("publish: mode %d: unknown", mode)
	}
	if len(rs) > registry.MaxPublish {
		return e.meters.refuse(fmt.Errorf("publish: %w", tooLarge("registrations", len(rs), registry.MaxPublish)))
	}
	rs, err := complete(rs)
	if err != nil {
		return e.meters.refuse(fmt.Errorf("publish: %w", err))
	}
	e.begin()
	defer e.mu.Unlock()
	p, err := w.open(k)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := e.room(p, mode, rs); err != nil {
		return e.meters.refuse(fmt.Errorf("publish: %w", err))
	}
	e.publish(p, mode, rs)
	return nil
}

func (e *Engine) publish(p *publisher, mode registry.Mode, rs []registry.Registration) {
	var changed touched
	var keep map[*registry.Instance]bool
	if mode == registry.ReplaceService {
		keep = make(map[*registry.Instance]bool, len(rs))
	}
	for i := range rs {
		pl := e.upsert(p, &rs[i], &changed)
		if keep != nil {
			keep[pl.instance] = true
		}
	}
	if mode == registry.ReplaceService {
		for i := range rs {
			if s := e.find(&rs[i].Service); s != nil {
				e.keepOnly(p, s, keep, &changed)
			}
		}
	}
	e.settle(p, &changed)
}

// settle ends a change that a client made of one publisher.
func (e *Engine) settle(p *publisher, changed *touched) {
	changed.all(e.touch)
	if changed.first != nil {
		e.note(p, true, false)
	}
}

// upsert puts one instance of a publisher, and returns it.
func (e *Engine) upsert(p *publisher, r *registry.Registration, changed *touched) *placed {
	s := e.service(&r.Service)
	name := ident{s, r.Subset, r.ID, r.Host, r.Port}
	at := p.find(&name)
	var old *registry.Instance
	if at != nil {
		old = at.instance
	}
	in := e.instance(p.pub, r, old)
	if at == nil {
		at = p.add(&name, in)
	}
	at.instance = in
	e.heed(p, at)
	if in != old {
		e.put(s, old, in)
		changed.add(s)
	}
	return at
}

// keepOnly takes all instances of a publisher from a service but some.
func (e *Engine) keepOnly(p *publisher, s *service, keep map[*registry.Instance]bool, changed *touched) {
	all := true
	for _, pl := range p.in(s) {
		all = all && keep[pl.instance]
	}
	if all {
		return
	}
	p.cut(func(pl *placed) bool {
		if pl.service != s || keep[pl.instance] {
			return false
		}
		e.take(s, pl.instance)
		return true
	})
	changed.add(s)
}

// Withdraw implements registry.Ephemeral.
func (w *ephemeral) Withdraw(_ context.Context, k registry.PublisherKey, ks []registry.InstanceKey) error {
	if err := claim(w.owner, &k); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	if len(ks) > registry.MaxPublish {
		return fmt.Errorf("withdraw: %w", tooLarge("instances", len(ks), registry.MaxPublish))
	}
	e := w.engine
	e.begin()
	defer e.mu.Unlock()
	p, err := w.open(k)
	if err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	var changed touched
	for i := range ks {
		e.withdraw(p, &ks[i], &changed)
	}
	e.settle(p, &changed)
	return nil
}

func (e *Engine) withdraw(p *publisher, k *registry.InstanceKey, changed *touched) {
	s := e.find(&k.Service)
	if s == nil {
		return
	}
	cut := func(pl *placed) bool {
		if pl.service != s || (k.Subset != "" || k.ID != "") && pl.instance.Subset != k.Subset ||
			k.ID != "" && compareIDs(pl.instance.ID, pl.instance.Host, pl.instance.Port, k.ID, "", 0) != 0 {
			return false
		}
		e.take(s, pl.instance)
		changed.add(s)
		return true
	}
	if k.ID != "" && p.find(&ident{service: s, subset: k.Subset, id: k.ID}) == nil {
		return
	}
	p.cut(cut)
}

// Beat implements registry.Ephemeral.
func (w *ephemeral) Beat(_ context.Context, bs []registry.Beat) (unknown []int, err error) {
	if len(bs) > registry.MaxPublish {
		return nil, w.engine.meters.refuse(fmt.Errorf("beat: %w", tooLarge("instances", len(bs), registry.MaxPublish)))
	}
	return w.engine.beatAll(w.owner, bs)
}

// Close implements registry.Ephemeral.
func (w *ephemeral) Close(_ context.Context, ks []registry.PublisherKey) error {
	if len(ks) > registry.MaxClose {
		return fmt.Errorf("close: %w", tooLarge("publishers", len(ks), registry.MaxClose))
	}
	ks = slices.Clone(ks)
	for i := range ks {
		if err := claim(w.owner, &ks[i]); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	e := w.engine
	e.begin()
	defer e.mu.Unlock()
	var changed touched
	for i := range ks {
		if p := e.publisher(ks[i], true); p != nil && e.owns(p) {
			e.note(p, true, true)
			e.end(p, &changed)
		}
	}
	changed.all(e.touch)
	return nil
}

// end takes a publisher away with all it published.
func (e *Engine) end(p *publisher, changed *touched) {
	for _, pl := range p.all() {
		e.take(pl.service, pl.instance)
		changed.add(pl.service)
	}
	e.wheel.cancel(p)
	p.placements = placements{}
	e.publishers.drop(p.hash(), p)
}

// Publishers implements registry.Ephemeral.
func (w *ephemeral) Publishers(_ context.Context, from string, limit int) ([]*registry.Publisher, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, kv.MaxPage)
	e := w.engine
	e.mu.Lock()
	var out []*registry.Publisher
	e.publishers.each(func(p *publisher) {
		if k := &p.pub.Key; p.pub.Ephemeral && k.Owner == w.owner && k.Scope > from {
			out = append(out, p.pub)
		}
	})
	e.mu.Unlock()
	slices.SortFunc(out, func(a, b *registry.Publisher) int { return strings.Compare(a.Key.Scope, b.Key.Scope) })
	return out[:min(limit, len(out))], nil
}
