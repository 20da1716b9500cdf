package naming

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Definition is what somebody sets for a service.
type Definition struct {
	Kind     Kind // of a service that is created; 0: persistent
	Protect  float64
	Metadata registry.Pairs
	Selector Selector
}

// Create makes a service that did not exist (NAC-H1N-10).
func (s *Service) Create(ctx context.Context, by auth.Actor, k registry.ServiceKey, d Definition) error {
	exists := &Error{ServiceExists, "specified service " + Grouped(k) + " already exists!"}
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if snap != nil {
		return exists
	}
	if d.Kind == 0 {
		d.Kind = Persistent
	}
	x := serviceExt{Kind: d.Kind}
	err = s.commit(ctx, by, k, registry.Op{PutService: &registry.ServicePut{Service: d.service(k, nil), Ext: x.bytes(), New: true}})
	if errors.Is(err, kv.ErrConflict) {
		return exists
	}
	return err
}

// Redefine replaces threshold, metadata and selector of a service that exists
// (NAC-H1N-12).
func (s *Service) Redefine(ctx context.Context, by auth.Actor, k registry.ServiceKey, d Definition) error {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if snap == nil {
		return noService("service " + Grouped(k) + " not found!")
	}
	return s.commit(ctx, by, k, registry.Op{PutService: &registry.ServicePut{Service: d.service(k, snap.Service)}})
}

// service is the definition over what is set already.
func (d *Definition) service(k registry.ServiceKey, old *registry.Service) registry.Service {
	out := registry.Service{Key: k, Protect: finite(d.Protect), Meta: d.Metadata, Selector: d.Selector.stored()}
	if old != nil {
		out.Subsets = old.Subsets
	}
	return out
}

// Remove takes away a service without instances (NAC-H1N-11).
func (s *Service) Remove(ctx context.Context, by auth.Actor, k registry.ServiceKey) error {
	snap, err := s.fresh(ctx, k)
	switch {
	case err != nil:
		return err
	case snap == nil:
		return noService("service " + Grouped(k) + " not found!")
	case len(snap.Endpoints) > 0:
		return &Error{ServiceNotEmpty, "Service " + Grouped(k) + " is not empty, can't be delete. Please unregister instance first"}
	}
	return s.commit(ctx, by, k, registry.Op{DropService: &k})
}

// The types of health checkers.
const (
	CheckTCP   = "TCP"
	CheckHTTP  = "HTTP"
	CheckMySQL = "MYSQL"
	CheckNone  = "NONE"
)

// defaultCheckPort is what a cluster shows that nobody configured (NAD-NSEM-31).
const defaultCheckPort = 80

// Checker is how the persistent instances of a cluster are checked.
type Checker struct {
	Type string `json:"type"`
	// Spec is the checker as it was given, a JSON object with its type.
	Spec json.RawMessage `json:"spec,omitempty"`
	Port int             `json:"port,omitempty"` // checked when not that of the instance
	// OwnPort says that the port of the instance is checked.
	OwnPort bool `json:"ownPort,omitempty"`
}

func defaultChecker() Checker { return Checker{Type: CheckTCP, Port: defaultCheckPort, OwnPort: true} }

// ParseChecker reads a health checker; one of an unknown type checks nothing
// (NAD-NSEM-40).
func ParseChecker(text string, port int, ownPort bool) (Checker, error) {
	r := gjson.Parse(text)
	if !gjson.Valid(text) || !r.IsObject() {
		return Checker{}, &Error{BadInstance, "health checker cannot be read"}
	}
	c := Checker{Type: strings.ToUpper(r.Get("type").String()), Port: port, OwnPort: ownPort}
	switch c.Type {
	case CheckHTTP, CheckMySQL:
		c.Spec = json.RawMessage(text)
	case CheckTCP, CheckNone:
	default:
		c.Type = CheckNone
	}
	return c, nil
}

// Cluster is the settings of one cluster of a service.
type Cluster struct {
	Name     string
	Checker  Checker
	Metadata registry.Pairs
}

// SetCluster replaces the settings of a cluster of a service that exists
// (NAC-H1N-18).
func (s *Service) SetCluster(ctx context.Context, by auth.Actor, k registry.ServiceKey, c Cluster) error {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if snap == nil {
		return noService(fmt.Sprintf("service not found groupName: %s,serviceName: %s", k.Group, k.Name))
	}
	c.Name = ClusterOf(c.Name)
	service := registry.Service{Key: k}
	if snap.Service != nil {
		service = *snap.Service
	}
	x := serviceExtOf(snap.Service, s.owner)
	checkers := make(map[string]Checker, len(x.Checkers)+1)
	maps.Copy(checkers, x.Checkers)
	checkers[c.Name] = c.Checker
	x.Checkers = checkers
	service.Subsets = subsets(service.Subsets, &c)
	return s.commit(ctx, by, k, registry.Op{PutService: &registry.ServicePut{Service: service, Ext: x.bytes()}})
}

func subsets(old []registry.Subset, c *Cluster) []registry.Subset {
	set := registry.Subset{Name: c.Name, Meta: c.Metadata, Check: c.Checker.check()}
	at, there := slices.BinarySearchFunc(old, c.Name, func(s registry.Subset, name string) int { return strings.Compare(s.Name, name) })
	out := slices.Clone(old)
	if there {
		out[at] = set
		return out
	}
	return slices.Insert(out, at, set)
}

// check is the checker in the words of core.
func (c *Checker) check() *registry.Check {
	out := &registry.Check{Kind: strings.ToLower(c.Type), Spec: c.Spec}
	if !c.OwnPort {
		out.Port = uint16(max(0, min(c.Port, maxPort)))
	}
	return out
}

// checker is how a cluster is checked (NAD-NSEM-31).
func (s *Service) checker(settings *registry.Service, cluster string) Checker {
	x := serviceExtOf(settings, s.owner)
	if c, ok := x.Checkers[cluster]; ok {
		return c
	}
	return defaultChecker()
}

// Detail is a service as operators see it.
type Detail struct {
	Key      registry.ServiceKey
	Kind     Kind // persistent when nothing fixed it
	Protect  float64
	Metadata registry.Pairs
	Selector Selector
	// Clusters are those that have instances, sorted by name (NAD-NS-04).
	Clusters []Cluster
	Snapshot *registry.Snapshot
}

// Detail describes a service; NoService when it does not exist.
func (s *Service) Detail(ctx context.Context, k registry.ServiceKey) (*Detail, error) {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return nil, err
	}
	if snap == nil {
		return nil, noService("service not found, namespace: " + k.Namespace + ", serviceName: " + Grouped(k))
	}
	return s.describe(snap), nil
}

func (s *Service) describe(snap *registry.Snapshot) *Detail {
	d := &Detail{Key: snap.Key, Kind: s.kind(snap), Selector: Selector{Type: SelectNone}, Snapshot: snap}
	if d.Kind == 0 {
		d.Kind = Persistent
		if len(snap.Endpoints) > 0 {
			d.Kind = Ephemeral // of other protocols (BRG-NAC-05)
		}
	}
	if set := snap.Service; set != nil {
		d.Protect, d.Metadata, d.Selector = set.Protect, set.Meta, storedSelector(set.Selector)
	}
	for i := range snap.Endpoints {
		d.addCluster(snap.Endpoints[i].Subset, s)
	}
	slices.SortFunc(d.Clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	return d
}

func (d *Detail) addCluster(name string, s *Service) {
	for i := range d.Clusters {
		if d.Clusters[i].Name == name {
			return
		}
	}
	c := Cluster{Name: name, Checker: s.checker(d.Snapshot.Service, name)}
	if set := d.Snapshot.Service; set != nil {
		for i := range set.Subsets {
			if set.Subsets[i].Name == name {
				c.Metadata = set.Subsets[i].Meta
			}
		}
	}
	d.Clusters = append(d.Clusters, c)
}
