package naming

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
)

// Target names an instance by its address.
type Target struct {
	IP      string
	Port    uint16
	Cluster string // blank: DEFAULT
}

// Operated is what an operator lays over an instance; nil leaves it as it is.
type Operated struct {
	Weight  *float64
	Enabled *bool
	// Metadata replaces what an operator laid over before, when Set; it is laid
	// over what the client registered key by key (NAC-NAM-55).
	Metadata registry.Pairs
	Set      bool
}

// Update lays weight, enabled and metadata over an instance, which may not be
// there yet; its service must (NAC-H1N-03).
func (s *Service) Update(ctx context.Context, by auth.Actor, k registry.ServiceKey, in Instance) error {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if snap == nil {
		return &Error{NoServiceOfInstance, fmt.Sprintf(
			"service not found, namespace: %s, service: Service{namespace='%s', group='%s', name='%s', ephemeral=true, revision=0}",
			k.Namespace, k.Namespace, k.Group, k.Name)}
	}
	weight := finite(in.Weight)
	return s.override(ctx, by, snap, Target{in.IP, in.Port, in.Cluster},
		Operated{Weight: &weight, Enabled: &in.Enabled, Metadata: in.Metadata, Set: true})
}

// Patch changes what is given alone, of an instance that is there (NAC-H1N-04).
func (s *Service) Patch(ctx context.Context, by auth.Actor, k registry.ServiceKey, t Target, o Operated) error {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if s.find(snap, ClusterOf(t.Cluster), t.IP, t.Port) == nil {
		return ErrNoInstance
	}
	return s.override(ctx, by, snap, t, o)
}

func (s *Service) override(ctx context.Context, by auth.Actor, snap *registry.Snapshot, t Target, o Operated) error {
	if e := s.find(snap, ClusterOf(t.Cluster), t.IP, t.Port); e != nil && !s.own(e) {
		return foreign(e)
	}
	return s.commit(ctx, by, snap.Key, registry.Op{PutOverride: put(snap.Key, t, o)})
}

func put(k registry.ServiceKey, t Target, o Operated) *registry.OverridePut {
	return &registry.OverridePut{Override: registry.Override{
		Service: k, Subset: ClusterOf(t.Cluster), Host: t.IP, Port: t.Port,
		Weight: o.Weight, Enabled: o.Enabled, Meta: o.Metadata, HasMeta: o.Set,
	}}
}

// foreign is BRG-OWN-03.
func foreign(e *registry.Endpoint) error {
	return &Error{Foreign, fmt.Sprintf("instance %s is owned by %s; change it there", addressOf(e.Host, e.Port), e.Publisher.Key.Owner)}
}

// Batch is a change of the metadata of many instances (NAC-H1N-08).
type Batch struct {
	Kind     Kind     // of the instances; 0: whatever there is
	Targets  []Target // nil: all
	Metadata registry.Pairs
	Remove   bool // the keys of Metadata, instead of adding it
}

// Updated is an instance that a batch changed.
type Updated struct {
	Target
	Kind Kind
}

// String is how clients are told of it; the third part is a constant.
func (u Updated) String() string {
	kind := "ephemeral"
	if u.Kind == Persistent {
		kind = "persist"
	}
	return addressOf(u.IP, u.Port) + ":unknown:" + u.Cluster + ":" + kind
}

// maxOps bounds one commit.
const maxOps = 256

// UpdateMetadata changes the metadata of many instances and returns which; a
// service without any is no error.
func (s *Service) UpdateMetadata(ctx context.Context, by auth.Actor, k registry.ServiceKey, b Batch) ([]Updated, error) {
	snap, err := s.fresh(ctx, k)
	if err != nil || snap == nil {
		return nil, err
	}
	var (
		out []Updated
		ops []registry.Op
	)
	for i := range snap.Endpoints {
		e := &snap.Endpoints[i]
		if !s.own(e) || b.Kind != 0 && kindOf(e.Publisher) != b.Kind || !b.names(e) {
			continue
		}
		t := Target{e.Host, e.Port, e.Subset}
		laid, err := s.laidOver(ctx, snap.Key, e)
		if err != nil {
			return out, err
		}
		ops = append(ops, registry.Op{PutOverride: put(k, t, Operated{Metadata: b.apply(laid), Set: true})})
		out = append(out, Updated{t, kindOf(e.Publisher)})
		if len(ops) == maxOps {
			if err := s.commit(ctx, by, k, ops...); err != nil {
				return out, err
			}
			ops = nil
		}
	}
	return out, s.commit(ctx, by, k, ops...)
}

func (b *Batch) names(e *registry.Endpoint) bool {
	if b.Targets == nil {
		return true
	}
	for _, t := range b.Targets {
		if t.Port == e.Port && t.IP == e.Host && ClusterOf(t.Cluster) == e.Subset {
			return true
		}
	}
	return false
}

func (b *Batch) apply(laid registry.Pairs) registry.Pairs {
	if !b.Remove {
		return laid.Over(b.Metadata)
	}
	var out registry.Pairs
	for _, p := range laid {
		if _, gone := b.Metadata.Get(p.Key); !gone {
			out = append(out, p)
		}
	}
	return out
}

// laidOver is the metadata that an operator laid over an instance, as far as it
// shows: what differs from what the client registered.
func (s *Service) laidOver(ctx context.Context, k registry.ServiceKey, e *registry.Endpoint) (registry.Pairs, error) {
	pub, err := s.catalog.Published(ctx, e.Publisher.Key)
	if err != nil {
		return nil, fmt.Errorf("publications of %s: %w", e.Publisher.Key.Scope, err)
	}
	var raw registry.Meta
	for _, p := range pub.Instances {
		if p.Service == k && p.Instance.Subset == e.Subset && p.Instance.Host == e.Host && p.Instance.Port == e.Port {
			raw = p.Instance.Meta
		}
	}
	var out registry.Pairs
	for key, value := range e.Meta.All() {
		if v, ok := raw.Get(key); !ok || v != value {
			out = append(out, registry.Pair{Key: key, Value: value})
		}
	}
	return out, nil
}

// SetHealth sets the health of a persistent instance whose cluster nobody checks
// (NAC-H1N-19, NAD-NS-21). An unknown instance is no error.
func (s *Service) SetHealth(ctx context.Context, by auth.Actor, k registry.ServiceKey, t Target, healthy bool) error {
	cluster := ClusterOf(t.Cluster)
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if snap == nil || s.kind(snap) == Ephemeral || s.checker(snap.Service, cluster).Type != CheckNone {
		return &Error{BadHealth, "health check is still working, service: " + Grouped(k) + ", cluster: " + cluster}
	}
	e := s.find(snap, cluster, t.IP, t.Port)
	switch {
	case e == nil:
		return nil
	case !s.own(e):
		return foreign(e)
	}
	status := registry.Passing
	if !healthy {
		status = registry.Critical
	}
	return s.commit(ctx, by, k, registry.Op{SetStatus: &registry.StatusChange{
		Instance: registry.InstanceKey{Publisher: e.Publisher.Key, Service: k, Subset: e.Subset, ID: idOf(e.Instance)},
		Status:   status,
	}})
}
