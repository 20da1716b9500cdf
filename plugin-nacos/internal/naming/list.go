package naming

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// Query is one read of the instances of a service.
type Query struct {
	Key registry.ServiceKey
	// Clusters is a list with commas, blank for all; it comes back as it was sent
	// (NAC-NAM-11).
	Clusters    string
	HealthyOnly bool
	// Disabled keeps instances that are taken out of rotation, and shows all as
	// they are: for operators, never for clients (NAC-NAM-41).
	Disabled bool
	// Local answers from what this member has: for what a push caused.
	Local bool
}

// List is the instances that answer a Query. It is immutable and shares what it
// points to.
type List struct {
	Key       registry.ServiceKey
	Snapshot  *registry.Snapshot  // nil: the service does not exist
	Endpoints []registry.Endpoint // by address and port (BRG-NAC-08); never to be changed
	// Protected says that so few are healthy that all are shown as healthy
	// (NAC-NAM-61).
	Protected bool
	// RefTime is lastRefTime in Unix milliseconds (NAC-NAM-14).
	RefTime int64

	service  *Service
	clusters string
	kind     Kind                // of what other protocols registered
	all      []registry.Endpoint // what callers without a filter get; nil: not known
	whole    bool                // Endpoints is all
}

// epoch is when versions of snapshots begin to count.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() //nolint:gochecknoglobals // a constant

// Changed is when a service changed, in Unix milliseconds.
func Changed(snap *registry.Snapshot) int64 { return epoch + int64(snap.Version) }

// List answers a query; an unknown service is an empty list.
func (s *Service) List(ctx context.Context, q Query) (*List, error) {
	if err := s.barrier(ctx, q.Local); err != nil {
		return nil, err
	}
	snap, err := s.snapshot(ctx, q.Key)
	if err != nil {
		return nil, err
	}
	return s.Choose(snap, q), nil
}

// Choose answers a query from a snapshot, which is nil for an unknown service
// (NAC-NAM-60..63).
func (s *Service) Choose(snap *registry.Snapshot, q Query) *List {
	l := &List{Key: q.Key, Snapshot: snap, service: s, clusters: q.Clusters}
	if snap == nil {
		l.RefTime = s.now().UnixMilli()
		return l
	}
	l.Key, l.RefTime = snap.Key, snap.Moment.Tell()
	if l.kind = s.kind(snap); l.kind == 0 {
		l.kind = Ephemeral
	}
	if s.kept(snap).sees(snap, &q) {
		l.Endpoints, l.whole = snap.Endpoints, true
	} else {
		l.choose(&q)
	}
	l.Protected = !q.Disabled && snap.Service != nil && registry.Protected(l.Endpoints, snap.Service.Protect)
	return l
}

func (l *List) choose(q *Query) {
	s := l.service
	if !q.Disabled {
		l.all = s.visible(l.Snapshot, &registry.Selection{Enabled: true, Own: s.owner})
		l.Endpoints = l.all
	}
	if q.Clusters != "" || q.HealthyOnly || q.Disabled {
		l.Endpoints = s.visible(l.Snapshot, &registry.Selection{
			Subsets: clustersOf(q.Clusters), Enabled: !q.Disabled, Healthy: q.HealthyOnly, Own: s.owner,
		})
	}
	// Of two selections of one snapshot the longer one holds the other.
	l.whole = !q.Disabled && len(l.Endpoints) == len(l.all)
}

// visible selects and sorts.
func (s *Service) visible(snap *registry.Snapshot, sel *registry.Selection) []registry.Endpoint {
	es := registry.Select(nil, snap, sel)
	mine := len(snap.Endpoints) == 0 || len(es) == 0 || &es[0] != &snap.Endpoints[0]
	for i := range es {
		if !s.own(&es[i]) && es[i].Port == 0 { // BRG-NAC-03
			es, mine = slices.DeleteFunc(slices.Clone(es), func(e registry.Endpoint) bool { return !s.own(&e) && e.Port == 0 }), true
			break
		}
	}
	if slices.IsSortedFunc(es, byAddress) {
		return es
	}
	if !mine {
		es = slices.Clone(es)
	}
	slices.SortStableFunc(es, byAddress)
	return es
}

func byAddress(a, b registry.Endpoint) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
}

// Healthy is what a client is told about an instance, protection aside.
func Healthy(e *registry.Endpoint) bool { return max(e.Status, e.Publisher.Status) <= registry.Warning }

func enabled(e *registry.Endpoint) bool { return e.Health != registry.Maintenance }

// kept is the whole list as it is kept, nil when this is not it.
func (l *List) kept() kept {
	if !l.whole || l.service.hosts == 0 {
		return nil
	}
	if k := l.service.kept(l.Snapshot); k != nil {
		return k
	}
	return l.keep()
}

// AppendHosts appends the JSON array of the instances.
func (l *List) AppendHosts(dst []byte) []byte {
	if k := l.kept(); k != nil {
		return k.append(slices.Grow(dst, k.size()))
	}
	if l.all != nil {
		if k := l.service.kept(l.Snapshot); k != nil && k.is(keptLong) && k.is(keptProtected) == l.Protected {
			return k.part(dst, l.all, l.Endpoints)
		}
	}
	return l.appendHosts(dst, nil)
}

// Hosts is the JSON array of the instances. It may be shared and must not be
// changed.
func (l *List) Hosts() []byte {
	if k := l.kept(); k != nil && k.is(keptLong) {
		return k.shared()
	}
	return l.AppendHosts(nil)
}

// appendHosts appends the array, and tells of each host where its parts are in it.
func (l *List) appendHosts(dst []byte, told func(*parts)) []byte {
	const usual = 384 // bytes of a host
	dst = slices.Grow(dst, 2+len(l.Endpoints)*usual)
	dst = append(dst, '[')
	grouped := appendInner(nil, Grouped(l.Key))
	var p parts
	for i := range l.Endpoints {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst = l.appendHost(dst, i, grouped, &p); told != nil {
			told(&p)
		}
	}
	return append(dst, ']')
}

// AppendHead appends a ServiceInfo up to its hosts; name is the plain name or the
// grouped one (NAC-NAM-10).
func (l *List) AppendHead(dst []byte, name string) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, name)
	dst = append(dst, `,"groupName":`...)
	dst = appendString(dst, l.Key.Group)
	return l.appendView(dst)
}

// AppendPacket appends a ServiceInfo as it goes over UDP: the name is grouped and
// there is no group beside it (NAC-UDP-04).
func (l *List) AppendPacket(dst []byte) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, Grouped(l.Key))
	dst = l.AppendHosts(l.appendView(dst))
	return l.AppendTail(dst)
}

func (l *List) appendView(dst []byte) []byte {
	dst = append(dst, `,"clusters":`...)
	dst = appendString(dst, l.clusters)
	dst = append(dst, `,"cacheMillis":`...)
	dst = strconv.AppendInt(dst, CacheMillis, 10)
	return append(dst, `,"hosts":`...)
}

// AppendTail appends what follows the hosts.
func (l *List) AppendTail(dst []byte) []byte {
	dst = append(dst, `,"lastRefTime":`...)
	dst = strconv.AppendInt(dst, l.RefTime, 10)
	dst = append(dst, `,"checksum":"","allIps":false,"reachProtectionThreshold":`...)
	dst = strconv.AppendBool(dst, l.Protected)
	return append(dst, `,"valid":true}`...)
}

// AppendInfo appends a whole ServiceInfo.
func (l *List) AppendInfo(dst []byte, name string) []byte {
	dst = l.AppendHead(dst, name)
	return l.AppendTail(l.AppendHosts(dst))
}

// CacheMillis is how long clients that poll keep a list (NAC-NAM-12).
const CacheMillis = 10_000

// Found is one instance with what is needed to show it.
type Found struct {
	Endpoint *registry.Endpoint
	Healthy  bool
	ID       string // of the instance; blank: it shows none
	HasID    bool
	Metadata registry.Pairs
	Weight   float64
	Kind     Kind
}

// Find returns the instance at an address; ErrNoInstance when there is none
// (NAC-H1N-05). What is disabled is found too.
func (s *Service) Find(ctx context.Context, k registry.ServiceKey, t Target) (*Found, error) {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return nil, err
	}
	e := s.find(snap, ClusterOf(t.Cluster), t.IP, t.Port)
	if e == nil {
		return nil, ErrNoInstance
	}
	v := s.viewOf(e)
	return &Found{
		Endpoint: e, Healthy: Healthy(e), ID: v.id(snap.Key, e), HasID: v.form != idNone,
		Metadata: v.meta.Pairs(), Weight: v.weight, Kind: kindOf(e.Publisher),
	}, nil
}

// Statuses lists address and health of every instance, "ip:port_true"
// (NAC-H1N-09).
func (s *Service) Statuses(ctx context.Context, k registry.ServiceKey) ([]string, error) {
	l, err := s.List(ctx, Query{Key: k, Disabled: true})
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(l.Endpoints))
	for i := range l.Endpoints {
		e := &l.Endpoints[i]
		out = append(out, addressOf(e.Host, e.Port)+"_"+strconv.FormatBool(Healthy(e)))
	}
	return out, nil
}
