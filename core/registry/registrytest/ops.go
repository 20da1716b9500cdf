package registrytest

import (
	"maps"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// op draws one persistent operation, applies it to a model, and says why it must
// be refused, if it must.
func (d *driver) op(t *rapid.T, m *model, owner string) (registry.Op, error) {
	id := pubID{registry.PublisherKey{Owner: owner, Scope: drawScope.Draw(t, "scope")}, false}
	_, open := m.publishers[pubID{id.PublisherKey, true}]
	kind := rapid.IntRange(0, 11).Draw(t, "kind")
	if kind < 8 && open {
		r := drawRegistration(t)
		r.Publisher = id.PublisherKey
		return registry.Op{PutInstance: &r}, registry.ErrEphemeral
	}
	switch kind {
	case 0, 1, 2:
		r := drawRegistration(t)
		r.Publisher = id.PublisherKey
		m.instances[idOf(id, &r)] = r
		return registry.Op{PutInstance: &r}, nil
	case 3:
		k := drawKey(t)
		k.Publisher = id.PublisherKey
		m.drop(id, &k)
		return registry.Op{DropInstance: &k}, nil
	case 4:
		k := drawKey(t)
		k.Publisher = id.PublisherKey
		c := registry.StatusChange{Instance: k, Status: drawStatus.Draw(t, "status")}
		i := instID{id, k.Service, k.Subset, k.ID}
		if r, ok := m.instances[i]; ok {
			r.Status = c.Status
			m.instances[i] = r
		}
		return registry.Op{SetStatus: &c}, nil
	case 5, 6:
		p := registry.Publisher{Key: id.PublisherKey, Status: drawStatus.Draw(t, "status"), Info: drawInfo(t)}
		m.publishers[id] = p
		return registry.Op{PutPublisher: &p}, nil
	case 7:
		m.dropPublisher(id)
		return registry.Op{DropPublisher: &id.PublisherKey}, nil
	case 8:
		return d.putService(t, m, owner)
	case 9:
		k := drawService(t)
		delete(m.settings, k)
		return registry.Op{DropService: &k}, nil
	default:
		return d.putOverride(t, m, owner)
	}
}

func (d *driver) putService(t *rapid.T, m *model, owner string) (registry.Op, error) {
	s := registry.Service{
		Key: drawService(t), Protect: drawWeight.Draw(t, "protect"), Meta: drawMeta(t, false), Subsets: []registry.Subset{{Name: "x"}},
	}
	put := &registry.ServicePut{Service: s, New: rapid.IntRange(0, 3).Draw(t, "new") == 0}
	if rapid.Bool().Draw(t, "with ext") {
		put.Ext = []byte(owner)
	}
	old, there := m.settings[s.Key]
	if there && put.New {
		return registry.Op{PutService: put}, kv.ErrConflict
	}
	s.Ext = old.Ext
	if put.Ext != nil {
		s.Ext = nil
		for _, x := range []string{one, two} {
			had := false
			for _, e := range old.Ext {
				had = had || e.Owner == x
			}
			if had || x == owner {
				s.Ext = append(s.Ext, registry.Ext{Owner: x, Data: []byte(x)})
			}
		}
	}
	m.settings[s.Key] = s
	return registry.Op{PutService: put}, nil
}

func (d *driver) putOverride(t *rapid.T, m *model, owner string) (registry.Op, error) {
	put := &registry.OverridePut{Override: registry.Override{
		Service: drawService(t), Subset: drawSubset.Draw(t, "subset"), Host: drawHost.Draw(t, "host"), Port: drawPort.Draw(t, "port"),
	}, Clear: rapid.IntRange(0, 2).Draw(t, "clear") == 0}
	if rapid.Bool().Draw(t, "with enabled") {
		v := rapid.Bool().Draw(t, "enabled")
		put.Enabled = &v
	}
	if rapid.Bool().Draw(t, "with weight") {
		v := drawWeight.Draw(t, "weight")
		put.Weight = &v
	}
	if put.HasMeta = rapid.IntRange(0, 2).Draw(t, "with meta") == 0; put.HasMeta {
		put.Meta = drawMeta(t, false)
	}
	id := overID{put.Service, put.Subset, put.Host, put.Port}
	// Foreign is judged on what is registered, not on what the batch has so far.
	if (put.Weight != nil || put.HasMeta) && d.m.onlyForeign(id, owner) {
		return registry.Op{PutOverride: put}, kv.ErrForeign
	}
	o := m.overrides[id]
	o.weight, o.meta = maps.Clone(o.weight), maps.Clone(o.meta)
	if put.Clear {
		o.enabled = nil
		delete(o.weight, owner)
		delete(o.meta, owner)
	}
	o.lay(put, owner)
	m.overrides[id] = o
	return registry.Op{PutOverride: put}, nil
}

func (o *override) lay(put *registry.OverridePut, owner string) {
	if put.Enabled != nil {
		o.enabled = put.Enabled
	}
	if put.Weight != nil {
		if o.weight == nil {
			o.weight = map[string]float64{}
		}
		o.weight[owner] = *put.Weight
	}
	if put.HasMeta {
		if o.meta == nil {
			o.meta = map[string]registry.Pairs{}
		}
		o.meta[owner] = put.Meta
	}
}

// onlyForeign says that there are instances at an address, all of other plugins.
func (m *model) onlyForeign(o overID, owner string) bool {
	others := false
	for id, r := range m.instances {
		if id.service == o.service && r.Subset == o.subset && r.Host == o.host && r.Port == o.port {
			if id.pub.Owner == owner {
				return false
			}
			others = true
		}
	}
	return others
}
