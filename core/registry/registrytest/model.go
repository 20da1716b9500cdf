package registrytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// model is a registry as a reader of the contract would write it down: maps, and
// everything worked out anew whenever it is asked for.
type model struct {
	publishers map[pubID]registry.Publisher
	instances  map[instID]registry.Registration
	settings   map[registry.ServiceKey]registry.Service
	overrides  map[overID]override
}

// pubID is a publisher; ephemeral ones and those of rows never share a key.
type pubID struct {
	registry.PublisherKey
	ephemeral bool
}

type instID struct {
	pub        pubID
	service    registry.ServiceKey
	subset, id string
}

type overID struct {
	service      registry.ServiceKey
	subset, host string
	port         uint16
}

// override is what was laid over an endpoint: rotation, and per plugin the rest.
type override struct {
	enabled *bool
	weight  map[string]float64
	meta    map[string]registry.Pairs
}

func newModel() *model {
	return &model{
		publishers: map[pubID]registry.Publisher{}, instances: map[instID]registry.Registration{},
		settings: map[registry.ServiceKey]registry.Service{}, overrides: map[overID]override{},
	}
}

func idOf(pub pubID, r *registry.Registration) instID {
	id := r.ID
	if id == "" {
		id = fmt.Sprintf("%s:%d", r.Host, r.Port)
	}
	return instID{pub, r.Service, r.Subset, id}
}

// publisher is a publisher as instances show it; one never written is passing.
func (m *model) publisher(id pubID) registry.Publisher {
	p, ok := m.publishers[id]
	if !ok {
		p.Status = registry.Passing
	}
	p.Key, p.Ephemeral = id.PublisherKey, id.ephemeral
	return p
}

// end is an endpoint on its way to a line of text.
type end struct {
	id        instID
	reg       registry.Registration // with what is laid over it
	pub       registry.Publisher
	origin    string
	health    registry.Status
	duplicate bool
	transit   bool
}

// ends is all endpoints of a service, in order, with everything derived.
func (m *model) ends(k registry.ServiceKey) []end {
	var out []end
	for id, r := range m.instances {
		if id.service != k {
			continue
		}
		e := end{id: id, reg: r, pub: m.publisher(id.pub)}
		if e.pub.Info != nil {
			e.origin = e.pub.Info.Origin
		}
		if o, ok := m.overrides[overID{k, r.Subset, r.Host, r.Port}]; ok && e.origin == "" {
			e.lay(&o)
		}
		e.health = max(e.reg.Status, e.pub.Status)
		if !e.reg.Enabled || e.pub.Info != nil && e.pub.Info.Out {
			e.health = registry.Maintenance
		}
		out = append(out, e)
	}
	slices.SortFunc(out, compareEnds)
	m.duplicates(out)
	return out
}

func (e *end) lay(o *override) {
	owner := e.id.pub.Owner
	if o.enabled != nil {
		e.reg.Enabled = *o.enabled
	}
	if w, ok := o.weight[owner]; ok {
		e.reg.Weight = w
	}
	if meta, ok := o.meta[owner]; ok {
		all := map[string]string{}
		for _, p := range slices.Concat(e.reg.Meta, meta) {
			all[p.Key] = p.Value
		}
		e.reg.Meta = registry.PairsOf(all)
	}
}

// compareEnds is the order of CTR-R01.
func compareEnds(a, b end) int {
	kind := map[bool]int{true: 1}
	return cmp.Or(
		strings.Compare(a.origin, b.origin), strings.Compare(a.reg.Subset, b.reg.Subset), strings.Compare(a.reg.Host, b.reg.Host),
		cmp.Compare(a.reg.Port, b.reg.Port), strings.Compare(a.id.pub.Owner, b.id.pub.Owner), strings.Compare(a.id.pub.Scope, b.id.pub.Scope),
		cmp.Compare(kind[a.id.pub.ephemeral], kind[b.id.pub.ephemeral]), strings.Compare(a.reg.ID, b.reg.ID),
	)
}

// duplicates marks whoever another record represents (CTR-M02, BRG-DUP-03): a
// record is a duplicate when another one of its endpoint is better, or as good and
// comes first.
func (m *model) duplicates(es []end) {
	owners := func(of *end) map[string]bool {
		found := map[string]bool{}
		for i := range es {
			if es[i].process() == of.process() {
				found[es[i].id.pub.Owner] = true
			}
		}
		return found
	}
	for i := range es {
		many := len(owners(&es[i])) > 1
		es[i].transit = es[i].copied("batata.io/source") || many && es[i].copied("syncSource")
	}
	for i := range es {
		many := len(owners(&es[i])) > 1
		for j := range es {
			same := es[j].process() == es[i].process()
			if !many {
				same = same && es[j].reg.Subset == es[i].reg.Subset && es[j].reg.Host == es[i].reg.Host
			}
			if i == j || !same {
				continue
			}
			a, b := es[j].endpoint(), es[i].endpoint()
			if registry.Better(a, b) || j < i && !registry.Better(b, a) {
				es[i].duplicate = true
			}
		}
	}
}

func (e *end) process() string {
	return fmt.Sprintf("%s|%s|%d", e.origin, registry.Address(e.reg.Host), e.reg.Port)
}

// copied looks for a mark; what operators lay over an instance has none here.
func (e *end) copied(mark string) bool {
	_, ok := e.reg.Meta.Get(mark)
	return ok
}

// endpoint is e as far as registry.Better looks at it.
func (e *end) endpoint() *registry.Endpoint {
	pub := e.pub
	return &registry.Endpoint{
		Instance: &registry.Instance{
			Publisher: &pub, Weight: e.reg.Weight, Rare: &registry.Rare{Warn: e.reg.Warn, Drain: e.reg.Drain, Transit: e.transit},
		},
		Health: e.health,
	}
}

// services lists what exists, in order.
func (m *model) services() []registry.ServiceKey {
	found := map[registry.ServiceKey]bool{}
	for k := range m.settings {
		found[k] = true
	}
	for id := range m.instances {
		found[id.service] = true
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b registry.ServiceKey) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Group, b.Group), strings.Compare(a.Name, b.Name))
	})
}

// view renders a service; blank when it does not exist.
func (m *model) view(k registry.ServiceKey) string {
	var lines []string
	if s, ok := m.settings[k]; ok {
		lines = append(lines, renderService(&s))
	}
	for _, e := range m.ends(k) {
		lines = append(lines, renderInstance(e.id.pub.PublisherKey, &e.pub, &e.reg)+
			fmt.Sprintf(" health=%d duplicate=%t transit=%t", e.health, e.duplicate, e.transit))
	}
	return strings.Join(lines, "\n")
}

// published renders what a publisher has, raw.
func (m *model) published(id pubID) string {
	var lines []string
	pub := m.publisher(id)
	for i, r := range m.instances {
		if i.pub == id {
			lines = append(lines, r.Service.Name+" "+renderInstance(id.PublisherKey, &pub, &r))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// counts is what Stats tells.
func (m *model) counts() (services, instances, healthy int) {
	ks := m.services()
	for _, k := range ks {
		for _, e := range m.ends(k) {
			instances++
			if e.health <= registry.Warning {
				healthy++
			}
		}
	}
	return len(ks), instances, healthy
}
