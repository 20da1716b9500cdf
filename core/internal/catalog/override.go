package catalog

import (
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// address is what an override is laid over inside a service.
type address struct {
	subset, host string
	port         uint16
}

// overrideRow follows one row of the overrides.
func (e *Engine) overrideRow(r *kv.Record, deleted bool, changed *touched) error {
	k, err := parseOverrideRow(r.Key)
	if err != nil {
		return err
	}
	if deleted {
		e.lay(k, nil, changed)
		return nil
	}
	l, err := DecodeLaid(r.Value)
	if err != nil {
		return err
	}
	e.lay(k, l, changed)
	return nil
}

// lay puts an override in place of whatever there is, nil for none.
func (e *Engine) lay(k overrideKey, l *Laid, changed *touched) {
	in, a := e.overrides[k.service], address{k.subset, k.host, k.port}
	e.laid -= len(in)
	switch {
	case l != nil && in == nil:
		e.overrides[k.service] = map[address]*Laid{a: l}
	case l != nil:
		in[a] = l
	default:
		if delete(in, a); len(in) == 0 {
			delete(e.overrides, k.service)
		}
	}
	e.laid += len(e.overrides[k.service])
	s := e.find(&k.service)
	if s == nil {
		return
	}
	for i := range s.list {
		if end := &s.list[i]; end.Subset != a.subset || end.Host != a.host || end.Port != a.port {
			continue
		}
		s.own(0)
		end := &s.list[i]
		e.count(end, -1)
		*end = e.endpoint(s, e.raw(s, end.Instance))
		e.count(end, 1)
		s.judge(i)
		changed.add(s)
	}
}

// raw is an instance of a list as its publisher registered it.
func (e *Engine) raw(s *service, in *registry.Instance) *registry.Instance {
	p := e.publisher(in.Publisher.Key, in.Publisher.Ephemeral)
	return p.find(&ident{s, in.Subset, in.ID, in.Host, in.Port}).instance
}

// endpoint is an instance as its service shows it.
func (e *Engine) endpoint(s *service, in *registry.Instance) registry.Endpoint {
	if e.laid > 0 && origin(in.Publisher) == "" {
		if l := e.overrides[s.key][address{in.Subset, in.Host, in.Port}]; l != nil {
			in = l.over(in)
		}
	}
	return registry.Endpoint{Instance: in, Health: health(in)}
}

// over is an instance with an override applied.
func (l *Laid) over(in *registry.Instance) *registry.Instance {
	enabled, weight, meta := in.Enabled, in.Weight, in.Meta
	if l.Enabled != nil {
		enabled = *l.Enabled
	}
	for i := range l.Parts {
		p := &l.Parts[i]
		if p.Owner != in.Publisher.Key.Owner {
			continue
		}
		if p.Weight != nil {
			weight = *p.Weight
		}
		if p.HasMeta {
			meta = registry.MetaOf(meta.Pairs().Over(p.Meta))
		}
	}
	if enabled == in.Enabled && weight == in.Weight && meta == in.Meta {
		return in
	}
	out := withPublisher(in, in.Publisher)
	out.Enabled, out.Weight, out.Meta = enabled, weight, meta
	return out
}

// Foreign says that there are instances where an override is to be laid, and none
// of them is of a plugin.
func (e *Engine) Foreign(owner string, o *registry.Override) bool {
	s := e.find(&o.Service)
	if s == nil {
		return false
	}
	others := false
	list := e.snapshotOf(s).Endpoints
	for i := range list {
		if in := list[i].Instance; in.Subset == o.Subset && in.Host == o.Host && in.Port == o.Port {
			if in.Publisher.Key.Owner == owner {
				return false
			}
			others = true
		}
	}
	return others
}
