package catalog

import (
	"bytes"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// instance makes an instance of a registration that has been checked, or returns
// old when that is the same already.
func (e *Engine) instance(p *registry.Publisher, r *registry.Registration, old *registry.Instance) *registry.Instance {
	rare := e.rare(p.Key.Owner, r, old)
	if old != nil && same(old, r, rare) {
		return old
	}
	return e.build(p, r, rare, old)
}

// build makes an instance; what it has in common with old is shared.
func (e *Engine) build(p *registry.Publisher, r *registry.Registration, rare *registry.Rare, old *registry.Instance) *registry.Instance {
	in := &registry.Instance{
		Subset: e.intern.text(r.Subset), Weight: r.Weight, Publisher: p, Rare: rare,
		Port: r.Port, Status: r.Status, Enabled: r.Enabled,
	}
	if old != nil && old.Meta.Is(r.Meta) {
		in.Meta = old.Meta
	} else {
		in.Meta = e.intern.meta(r.Meta)
	}
	switch scope := p.Key.Scope; {
	case old != nil && old.Host == r.Host:
		in.Host = old.Host
	case strings.HasPrefix(scope, r.Host): // many are named after their only instance
		in.Host = scope[:len(r.Host)]
	default:
		in.Host = clone(r.Host)
	}
	switch {
	case old != nil && old.ID == r.ID:
		in.ID = old.ID
	default:
		in.ID = clone(r.ID)
	}
	return in
}

// same says whether a registration would change nothing.
func same(in *registry.Instance, r *registry.Registration, rare *registry.Rare) bool {
	return in.Host == r.Host && in.Port == r.Port && in.Weight == r.Weight && in.Status == r.Status &&
		in.Enabled == r.Enabled && in.Subset == r.Subset && in.ID == r.ID && in.Meta.Is(r.Meta) &&
		sameRare(in.Rare, rare)
}

// rare is what a registration has beside the usual; nil: nothing. Ext of other
// plugins is kept.
func (e *Engine) rare(owner string, r *registry.Registration, old *registry.Instance) *registry.Rare {
	var ext []registry.Ext
	if old != nil && old.Rare != nil {
		ext = old.Rare.Ext
	}
	ext = WithExt(ext, owner, r.Ext)
	transit := shown(r.Meta) // BRG-DUP-07
	plain := !transit && len(r.Tags) == 0 && len(r.Ports) == 0 && len(r.Addrs) == 0 && len(ext) == 0 &&
		r.Warn == nil && !r.Drain && r.Locality == registry.Locality{}
	switch {
	case plain && r.Expiry == registry.Expiry{}:
		return nil
	case plain:
		return e.intern.expiring(r.Expiry)
	}
	rare := &registry.Rare{
		Tags: e.texts(r.Tags), Ports: slices.Clone(r.Ports), Addrs: e.intern.pairs(r.Addrs),
		Ext: ext, Expiry: r.Expiry, Drain: r.Drain, Transit: transit,
	}
	for i := range rare.Ports {
		rare.Ports[i].Name = e.intern.text(rare.Ports[i].Name)
	}
	if r.Warn != nil {
		w := *r.Warn
		rare.Warn = &w
	}
	rare.Locality = e.locality(r.Locality)
	return rare
}

func (e *Engine) texts(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = e.intern.text(s)
	}
	return out
}

func (e *Engine) locality(l registry.Locality) *registry.Locality {
	if l == (registry.Locality{}) {
		return nil
	}
	return &registry.Locality{Region: e.intern.text(l.Region), Zone: e.intern.text(l.Zone), Subzone: e.intern.text(l.Subzone)}
}

// WithExt is ext with the part of one owner replaced, nil data: without it.
func WithExt(ext []registry.Ext, owner string, data []byte) []registry.Ext {
	i := slices.IndexFunc(ext, func(x registry.Ext) bool { return x.Owner >= owner })
	has := i >= 0 && ext[i].Owner == owner
	switch {
	case has && len(data) == 0:
		return slices.Delete(slices.Clone(ext), i, i+1)
	case len(data) == 0, has && bytes.Equal(ext[i].Data, data):
		return ext
	}
	own := registry.Ext{Owner: owner, Data: slices.Clone(data)}
	out := slices.Clone(ext)
	switch {
	case has:
		out[i] = own
		return out
	case i < 0:
		return append(out, own)
	}
	return slices.Insert(out, i, own)
}

func sameRare(a, b *registry.Rare) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return slices.Equal(a.Tags, b.Tags) && slices.Equal(a.Ports, b.Ports) && a.Addrs.Equal(b.Addrs) &&
		slices.EqualFunc(a.Ext, b.Ext, sameExt) && a.Expiry == b.Expiry && a.Drain == b.Drain &&
		equalTo(a.Warn, b.Warn) && equalTo(a.Locality, b.Locality)
}

func sameExt(a, b registry.Ext) bool { return a.Owner == b.Owner && bytes.Equal(a.Data, b.Data) }

// equalTo compares what two pointers point to; nil equals nil only.
func equalTo[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// withPublisher is an instance of the same publisher in a newer state.
func withPublisher(in *registry.Instance, p *registry.Publisher) *registry.Instance {
	return &registry.Instance{
		ID: in.ID, Subset: in.Subset, Host: in.Host, Weight: in.Weight, Publisher: p, Meta: in.Meta, Rare: in.Rare,
		Port: in.Port, Status: in.Status, Enabled: in.Enabled,
	}
}

// info is a copy of what a caller told of a publisher.
func (e *Engine) info(in *registry.PublisherInfo) *registry.PublisherInfo {
	if in == nil {
		return nil
	}
	out := &registry.PublisherInfo{
		Origin: e.intern.text(in.Origin), Addr: clone(in.Addr), Labels: e.intern.pairs(in.Labels),
		Ext: slices.Clone(in.Ext), Lease: in.Lease, Out: in.Out,
	}
	if in.Locality != nil {
		out.Locality = e.locality(*in.Locality)
	}
	return out
}

func sameInfo(a, b *registry.PublisherInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Origin == b.Origin && a.Addr == b.Addr && equalTo(a.Locality, b.Locality) && a.Labels.Equal(b.Labels) &&
		bytes.Equal(a.Ext, b.Ext) && a.Lease == b.Lease && a.Out == b.Out
}
