package catalog

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// service is one service. Engine.mu guards all of it but key, which never
// changes, and snapshot. There are many: it fits into 144 bytes.
type service struct {
	key      registry.ServiceKey
	snapshot atomic.Pointer[registry.Snapshot] // nil: to be built
	list     []registry.Endpoint               // sorted by compareInstances
	settings *registry.Service
	prev     *service
	next     *service
	version  uint64
	told     int64 // the last time that was told with an older snapshot
	revision kv.Revision
	slot     uint32 // its bit in the streams
	shared   bool   // list is part of a snapshot
	mixed    bool
	gone     bool
	owners   owners
}

// forgotten is the slot of a service that is in no table any more.
const forgotten = math.MaxUint32

// owners says how many plugins have instances in a service.
type owners uint8

const (
	ownerNone owners = iota
	ownerOne
	ownerMany  // perhaps one again since
	ownerFresh // many, and their duplicates are to be marked
)

func hashService(k *registry.ServiceKey) uint64 {
	h := maphash.String(seed, k.Name)
	h = (h ^ maphash.String(seed, k.Group)) * mixer
	return (h ^ maphash.String(seed, k.Namespace)) * mixer
}

// mixer spreads what hashes are joined of over all bits.
const mixer = 0x9E3779B97F4A7C15

func (s *service) hash() uint64 { return hashService(&s.key) }

func compareKeys(a, b *registry.ServiceKey) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	if c := strings.Compare(a.Group, b.Group); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// compareInstances is the order of endpoints (CTR-R01).
func compareInstances(a, b *registry.Instance) int {
	if c := strings.Compare(origin(a.Publisher), origin(b.Publisher)); c != 0 {
		return c
	}
	if c := strings.Compare(a.Subset, b.Subset); c != 0 {
		return c
	}
	if c := strings.Compare(a.Host, b.Host); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Port, b.Port); c != 0 {
		return c
	}
	if c := comparePublishers(&a.Publisher.Key, &b.Publisher.Key); c != 0 {
		return c
	}
	if a.Publisher.Ephemeral != b.Publisher.Ephemeral {
		if a.Publisher.Ephemeral {
			return 1
		}
		return -1
	}
	return strings.Compare(a.ID, b.ID)
}

func comparePublishers(a, b *registry.PublisherKey) int {
	if c := strings.Compare(a.Owner, b.Owner); c != 0 {
		return c
	}
	return strings.Compare(a.Scope, b.Scope)
}

func origin(p *registry.Publisher) string {
	if p.Info == nil {
		return ""
	}
	return p.Info.Origin
}

// place finds an instance in the list, or where it belongs.
func (s *service) place(in *registry.Instance) (int, bool) {
	return slices.BinarySearchFunc(s.list, in, func(e registry.Endpoint, in *registry.Instance) int {
		return compareInstances(e.Instance, in)
	})
}

// own makes the list safe to change, with room for more.
func (s *service) own(more int) {
	if !s.shared {
		return
	}
	list := make([]registry.Endpoint, len(s.list), len(s.list)+more)
	copy(list, s.list)
	s.list, s.shared = list, false
}

// health is what an endpoint shows (CTR-M04).
func health(in *registry.Instance) registry.Status {
	p := in.Publisher
	if !in.Enabled || p.Info != nil && p.Info.Out {
		return registry.Maintenance
	}
	return max(in.Status, p.Status)
}

// put adds an instance to a service, in place of old unless that is nil.
func (e *Engine) put(s *service, old, in *registry.Instance) {
	end := e.endpoint(s, in)
	var i int
	if old != nil && compareInstances(old, in) == 0 {
		i, _ = s.place(old)
		s.own(0)
		e.count(&s.list[i], -1)
		s.list[i] = end
	} else {
		if old != nil {
			e.take(s, old)
		}
		i, _ = s.place(in)
		s.own(1)
		s.list = slices.Insert(s.list, i, end)
		if len(s.list) == registry.LargeService+1 {
			e.settings.Logger.Warn("service is large", zap.String("namespace", s.key.Namespace), zap.String("group", s.key.Group),
				zap.String("service", s.key.Name), zap.Int("instances", len(s.list)))
		}
	}
	e.count(&end, 1)
	owner := in.Publisher.Key.Owner
	switch {
	case s.owners == ownerNone:
		s.owners = ownerOne
	case s.owners > ownerOne:
	case s.list[0].Publisher.Key.Owner != owner || s.list[len(s.list)-1].Publisher.Key.Owner != owner:
		s.owners = ownerMany
	}
	s.judge(i)
	if in.Publisher.Ephemeral {
		s.mixed = true
	}
}

// take removes an instance from a service.
func (e *Engine) take(s *service, in *registry.Instance) {
	i, found := s.place(in)
	if !found {
		return
	}
	s.own(0)
	e.count(&s.list[i], -1)
	s.list = slices.Delete(s.list, i, i+1)
	if len(s.list) == 0 {
		s.owners = ownerNone
		return
	}
	s.judge(max(0, i-1))
	s.judge(i)
}

func (e *Engine) count(end *registry.Endpoint, by int) {
	e.instances += by
	if end.Health <= registry.Warning {
		e.healthy += by
	}
}

// read returns the snapshot of a service, built when it has changed. Engine.mu is
// held.
func (e *Engine) read(s *service) *registry.Snapshot {
	if snap := s.snapshot.Load(); snap != nil {
		return snap
	}
	if s.owners == ownerFresh {
		e.judgeAll(s)
	}
	if n := len(s.list); cap(s.list) > n+n/4+1 && !s.shared {
		s.list = append(make([]registry.Endpoint, 0, n), s.list...)
	}
	n := len(s.list)
	snap := &registry.Snapshot{
		Key: s.key, Service: s.settings, Endpoints: s.list[:n:n],
		Version: s.version, Revision: s.revision, Mixed: s.mixed, Gone: s.gone,
	}
	snap.Moment.Begin(&e.clock, s.told)
	s.shared = true
	e.observed = true
	s.snapshot.Store(snap)
	return snap
}
