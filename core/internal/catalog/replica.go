package catalog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// ErrElsewhere reports a write to a publisher that another member owns.
var ErrElsewhere = errors.New("publisher is owned by another member")

var errSilence = errors.New("silence is not told of each instance")

// Replica is told of the ephemeral publishers of this member that have changed.
type Replica interface {
	// Changed is called while the catalog is locked: it neither waits nor calls
	// back.
	Changed(c Changed)
}

// Changed is what became of a publisher of this member.
type Changed struct {
	Key      registry.PublisherKey
	ByClient bool // and not by the time
	Gone     bool
	Free     bool // as in registry.Publisher
	Stale    bool // as its plugin said
}

// Held is one ephemeral publisher with all it has, as members tell it each other.
type Held struct {
	Publisher registry.Publisher
	Instances []registry.Registration
	Silent    []bool // those that are Critical for want of beats; nil: none is
}

// Local names a publisher of this member.
type Local struct {
	Key         registry.PublisherKey
	Free, Stale bool
}

// Home says who owns a publisher.
type Home struct {
	Member uint64
	Free   bool
	Stale  bool
}

// Replicate names who is told of changes from now on, nil: nobody, and returns
// the publishers there are on this member.
func (e *Engine) Replicate(r Replica) []Local {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replica = r
	if r == nil {
		return nil
	}
	var out []Local
	e.publishers.each(func(p *publisher) {
		if p.pub.Ephemeral && e.owns(p) {
			out = append(out, Local{p.pub.Key, p.pub.Free, p.pub.Stale})
		}
	})
	return out
}

// owns says whether an ephemeral publisher lives on this member.
func (e *Engine) owns(p *publisher) bool { return p.pub.Member == e.settings.Member }

// note tells the other members of a publisher of this one.
func (e *Engine) note(p *publisher, byClient, gone bool) {
	if e.replica != nil && e.owns(p) {
		e.replica.Changed(Changed{p.pub.Key, byClient, gone, p.pub.Free, p.pub.Stale})
	}
}

// IsRow says whether a publisher is persistent.
func (e *Engine) IsRow(k registry.PublisherKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.publisher(k, false) != nil
}

// Home returns who owns an ephemeral publisher.
func (e *Engine) Home(k registry.PublisherKey) (Home, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.publisher(k, true)
	if p == nil {
		return Home{}, false
	}
	return Home{p.pub.Member, p.pub.Free, p.pub.Stale}, true
}

// Held returns an ephemeral publisher with all it has.
func (e *Engine) Held(k registry.PublisherKey) (*Held, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.publisher(k, true)
	if p == nil {
		return nil, false
	}
	all := p.all()
	h := &Held{Publisher: *p.pub, Instances: make([]registry.Registration, len(all))}
	for i := range all {
		h.Instances[i] = registration(&all[i])
		if all[i].silent {
			if h.Silent == nil {
				h.Silent = make([]bool, len(all))
			}
			h.Silent[i] = true
		}
	}
	return h, true
}

// registration is an instance as its publisher registered it.
func registration(p *placed) registry.Registration {
	in := p.instance
	r := registry.Registration{
		Service: p.service.key, Publisher: in.Publisher.Key, ID: in.ID, Subset: in.Subset, Host: in.Host, Port: in.Port,
		Weight: in.Weight, Status: in.Status, Enabled: in.Enabled, Meta: in.Meta.Pairs(),
	}
	rare := in.Rare
	if rare == nil {
		return r
	}
	r.Warn, r.Drain, r.Tags, r.Ports, r.Addrs, r.Expiry = rare.Warn, rare.Drain, rare.Tags, rare.Ports, rare.Addrs, rare.Expiry
	if rare.Locality != nil {
		r.Locality = *rare.Locality
	}
	for i := range rare.Ext {
		if rare.Ext[i].Owner == in.Publisher.Key.Owner {
			r.Ext = rare.Ext[i].Data
		}
	}
	return r
}

// Place makes a publisher what its owner says it is. Whether the clocks of its
// beats run, and anew, depends on whether that is this member.
func (e *Engine) Place(h *Held) error {
	pub := h.Publisher
	if err := checkHeld(h, &pub); err != nil {
		return fmt.Errorf("publisher %s: %w", pub.Key.Scope, err)
	}
	e.begin()
	defer e.mu.Unlock()
	if e.instances+len(h.Instances) > e.most+registry.MaxPublish {
		return e.meters.refuse(fmt.Errorf("publisher %s: %d instances on this member: %w", pub.Key.Scope, e.instances, kv.ErrOverloaded))
	}
	var changed touched
	pub.Ephemeral, pub.Modified = true, 0
	p := e.publisher(pub.Key, true)
	switch {
	case p == nil:
		if e.publishers.live >= maxPublishers {
			return e.meters.refuse(fmt.Errorf("publisher %s: there are %d: %w", pub.Key.Scope, maxPublishers, kv.ErrOverloaded))
		}
		pub.Key = registry.PublisherKey{Owner: e.intern.text(pub.Key.Owner), Scope: clone(pub.Key.Scope)}
		pub.Info = e.info(pub.Info)
		p = &publisher{pub: &pub}
		e.publishers.add(p.hash(), p)
	case !samePublisher(p.pub, &pub):
		pub.Key, pub.Info = p.pub.Key, e.info(pub.Info)
		e.replace(p, &pub, &changed)
	}
	e.fill(p, h, &changed)
	changed.all(e.touch)
	return nil
}

func samePublisher(a, b *registry.Publisher) bool {
	return a.Member == b.Member && a.Status == b.Status && a.Stale == b.Stale && a.Free == b.Free && sameInfo(a.Info, b.Info)
}

func checkHeld(h *Held, pub *registry.Publisher) error {
	if len(h.Instances) > registry.MaxPublish {
		return tooLarge("instances of a publisher", len(h.Instances), registry.MaxPublish)
	}
	if h.Silent != nil && len(h.Silent) != len(h.Instances) {
		return errSilence
	}
	if pub.Key.Owner == "" {
		return fmt.Errorf("owner: %w", errName)
	}
	if err := errors.Join(names(pub.Key.Owner), CheckInfo(pub)); err != nil {
		return err
	}
	for i := range h.Instances {
		if err := CheckInstance(&h.Instances[i]); err != nil {
			return fmt.Errorf("instance %d: %w", i, err)
		}
	}
	return nil
}

// fill makes instances all that a publisher has.
func (e *Engine) fill(p *publisher, h *Held, changed *touched) {
	keep := make(map[*registry.Instance]bool, len(h.Instances))
	for i := range h.Instances {
		pl := e.upsert(p, &h.Instances[i], changed)
		keep[pl.instance] = true
		pl.silent = h.Silent != nil && h.Silent[i] && expiry(pl.instance) != registry.Expiry{}
	}
	if p.len() == len(keep) {
		return
	}
	p.cut(func(pl *placed) bool {
		if keep[pl.instance] {
			return false
		}
		e.take(pl.service, pl.instance)
		changed.add(pl.service)
		return true
	})
}

// Drop ends an ephemeral publisher, whoever owns it.
func (e *Engine) Drop(k registry.PublisherKey) {
	e.begin()
	defer e.mu.Unlock()
	if p := e.publisher(k, true); p != nil {
		var changed touched
		e.end(p, &changed)
		changed.all(e.touch)
	}
}

// Assign says which member owns an ephemeral publisher from now on, and whether
// that one is out of sight. If it is this one, its instances have just given a
// sign of life (ARC-A07). What its plugin says of one that is here stays.
func (e *Engine) Assign(k registry.PublisherKey, to uint64, stale bool) {
	e.begin()
	defer e.mu.Unlock()
	if p := e.publisher(k, true); p != nil {
		if e.owns(p) {
			stale = p.pub.Stale // its plugin may just have said so
		}
		var changed touched
		e.assign(p, to, stale, &changed)
		changed.all(e.touch)
	}
}

func (e *Engine) assign(p *publisher, to uint64, stale bool, changed *touched) {
	if p.pub.Member == to && p.pub.Stale == stale {
		return
	}
	next := *p.pub
	next.Member, next.Stale = to, stale
	e.replace(p, &next, changed)
	e.rewatch(p)
}

// TakeOver makes an ephemeral publisher this member's own because its client
// speaks to this one. It has no connection, so it cannot be out of sight.
func (e *Engine) TakeOver(k registry.PublisherKey) {
	e.begin()
	defer e.mu.Unlock()
	if p := e.publisher(k, true); p != nil && !e.owns(p) {
		var changed touched
		e.assign(p, e.settings.Member, p.pub.Stale, &changed)
		changed.all(e.touch)
		e.note(p, true, false)
	}
}

// Fate is what would become of services if a publisher out of sight went.
type Fate struct {
	// Covered says that each of its instances is also there by another publisher
	// that is in sight.
	Covered bool
	// By are those publishers, if it is Covered; one may come several times.
	By []registry.PublisherKey
	// Needed says that a service would lose the last of its healthy instances:
	// all of them are of publishers out of sight, and this is one of them.
	Needed bool
}

// Fates judges publishers that are out of sight.
func (e *Engine) Fates(ks []registry.PublisherKey) []Fate {
	e.mu.Lock()
	defer e.mu.Unlock()
	alone := map[*service]bool{}
	out := make([]Fate, len(ks))
	for i := range ks {
		out[i].Covered = true
		p := e.publisher(ks[i], true)
		if p == nil {
			continue
		}
		for _, pl := range p.all() {
			if by := pl.service.covers(pl.instance); by != nil {
				out[i].By = append(out[i].By, by.Key)
				continue
			}
			out[i].Covered = false
			a, known := alone[pl.service]
			if !known {
				a = pl.service.outOfSight()
				alone[pl.service] = a
			}
			out[i].Needed = out[i].Needed || a
		}
	}
	return out
}

// covers is a publisher in sight that has registered an endpoint a second time;
// nil: there is none.
func (s *service) covers(in *registry.Instance) *registry.Publisher {
	first := &registry.Instance{
		Publisher: &registry.Publisher{Info: in.Publisher.Info}, Subset: in.Subset, Host: in.Host, Port: in.Port,
	}
	for i, _ := s.place(first); i < len(s.list) && sameEndpoint(s.list[i].Instance, in); i++ {
		if p := s.list[i].Publisher; p != in.Publisher && !p.Stale {
			return p
		}
	}
	return nil
}

// outOfSight says whether a service has healthy instances, all of them of
// publishers out of sight.
func (s *service) outOfSight() bool {
	healthy := func(e registry.Endpoint) bool { return e.Health <= registry.Warning }
	return slices.ContainsFunc(s.list, healthy) &&
		!slices.ContainsFunc(s.list, func(e registry.Endpoint) bool { return healthy(e) && !e.Publisher.Stale })
}

// DecodePublisher reads what EncodePublisher wrote.
func DecodePublisher(k registry.PublisherKey, row []byte) (*registry.Publisher, error) {
	return decodePublisher(k, &kv.Record{Value: row})
}
