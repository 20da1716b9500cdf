package naming

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// at is an endpoint of Nacos, or of who is named.
func at(host string, port uint16, edit ...func(*registry.Endpoint)) registry.Endpoint {
	e := registry.Endpoint{
		Instance: &registry.Instance{
			Host: host, Port: port, Subset: DefaultCluster, Weight: 1, Enabled: true, Status: registry.Passing,
			Publisher: &registry.Publisher{Key: registry.PublisherKey{Owner: "nacos", Scope: host}, Ephemeral: true, Status: registry.Passing},
		},
		Health: registry.Passing,
	}
	for _, f := range edit {
		f(&e)
	}
	e.Health = max(e.Status, e.Publisher.Status)
	if !e.Enabled {
		e.Health = registry.Maintenance
	}
	return e
}

func unhealthy(e *registry.Endpoint) { e.Status = registry.Critical }
func disabled(e *registry.Endpoint)  { e.Enabled = false }
func durable(e *registry.Endpoint)   { e.Publisher.Ephemeral = false }

func in(cluster string) func(*registry.Endpoint) {
	return func(e *registry.Endpoint) { e.Subset = cluster }
}

func of(owner string) func(*registry.Endpoint) {
	return func(e *registry.Endpoint) { e.Publisher.Key.Owner = owner }
}

func hosts(t *testing.T, l *List) []host {
	t.Helper()
	var out []host
	if err := json.Unmarshal(l.Hosts(), &out); err != nil {
		t.Fatalf("Hosts() = %s: %v", l.Hosts(), err)
	}
	return out
}

// shown are address, health and nothing else of a list.
func shown(t *testing.T, l *List) []string {
	t.Helper()
	out := []string{}
	for _, h := range hosts(t, l) {
		s := addressOf(h.IP, uint16(h.Port))
		if !h.Healthy {
			s += " down"
		}
		if !h.Enabled {
			s += " off"
		}
		out = append(out, s)
	}
	return out
}

// NAC-NAM-41, 60..63: clusters, then what is in rotation, then health, then
// protection, which only a service with settings has.
func TestChoose(t *testing.T) {
	settings := func(protect float64) *registry.Service { return &registry.Service{Protect: protect} }
	mixed := []registry.Endpoint{at("a", 1), at("b", 1, unhealthy), at("c", 1, disabled), at("d", 1, in("c1"))}
	down := []registry.Endpoint{at("a", 1, unhealthy), at("b", 1, unhealthy)}
	for name, tt := range map[string]struct {
		endpoints []registry.Endpoint
		settings  *registry.Service
		query     Query
		want      []string
		protected bool
	}{
		"unhealthy ones are shown, disabled ones are not": {endpoints: mixed, want: []string{"a:1", "b:1 down", "d:1"}},
		"one cluster":               {endpoints: mixed, query: Query{Clusters: "c1"}, want: []string{"d:1"}},
		"two clusters":              {endpoints: mixed, query: Query{Clusters: "c1,DEFAULT"}, want: []string{"a:1", "b:1 down", "d:1"}},
		"unknown cluster":           {endpoints: mixed, query: Query{Clusters: "zz"}, want: []string{}},
		"healthy only":              {endpoints: mixed, query: Query{HealthyOnly: true}, want: []string{"a:1", "d:1"}},
		"operators see all":         {endpoints: mixed, query: Query{Disabled: true}, settings: settings(1), want: []string{"a:1", "b:1 down", "c:1 off", "d:1"}},
		"all down without settings": {endpoints: down, want: []string{"a:1 down", "b:1 down"}},
		"all down with settings, threshold 0 (NAC-NAM-62)":    {endpoints: down, settings: settings(0), want: []string{"a:1", "b:1"}, protected: true},
		"some down, threshold 0":                              {endpoints: mixed, settings: settings(0), want: []string{"a:1", "b:1 down", "d:1"}},
		"at the threshold":                                    {endpoints: mixed[:2], settings: settings(0.5), want: []string{"a:1", "b:1"}, protected: true},
		"above the threshold":                                 {endpoints: mixed[:2], settings: settings(0.49), want: []string{"a:1", "b:1 down"}},
		"nothing is not protected":                            {endpoints: mixed, settings: settings(1), query: Query{Clusters: "zz"}, want: []string{}},
		"healthy only, threshold below 1 (NAC-NAM-63)":        {endpoints: mixed, settings: settings(0.9), query: Query{HealthyOnly: true}, want: []string{"a:1", "d:1"}},
		"healthy only, threshold 1":                           {endpoints: mixed, settings: settings(1), query: Query{HealthyOnly: true}, want: []string{"a:1", "d:1"}, protected: true},
		"protection looks at what is chosen":                  {endpoints: mixed, settings: settings(0.6), query: Query{Clusters: "DEFAULT"}, want: []string{"a:1", "b:1"}, protected: true},
		"empty":                                               {settings: settings(1), want: []string{}},
		"unhealthy publisher":                                 {endpoints: []registry.Endpoint{at("a", 1, func(e *registry.Endpoint) { e.Publisher.Status = registry.Critical })}, want: []string{"a:1 down"}},
		"warning takes work (CTR-M04)":                        {endpoints: []registry.Endpoint{at("a", 1, func(e *registry.Endpoint) { e.Status = registry.Warning })}, want: []string{"a:1"}},
		"by address over all clusters and kinds (BRG-NAC-08)": {endpoints: []registry.Endpoint{at("b", 2, in("a")), at("a", 3, in("b")), at("b", 1, in("b"), of("consul"))}, want: []string{"a:3", "b:1", "b:2"}},
		"a foreign one without a port (BRG-NAC-03)":           {endpoints: []registry.Endpoint{at("a", 0), at("b", 0, of("consul"))}, want: []string{"a:0"}},
		"a shadowed foreign one (BRG-DUP-02)":                 {endpoints: []registry.Endpoint{at("a", 1), at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Duplicate = true })}, want: []string{"a:1"}},
		"all of our own (BRG-DUP-02)":                         {endpoints: []registry.Endpoint{at("a", 1), at("a", 1, func(e *registry.Endpoint) { e.Duplicate = true })}, want: []string{"a:1", "a:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			snap := &registry.Snapshot{Endpoints: tt.endpoints, Service: tt.settings}
			before := slices.Clone(tt.endpoints)
			l := bare().Choose(snap, tt.query)
			if got := shown(t, l); !slices.Equal(got, tt.want) {
				t.Errorf("Choose() = %v, want %v", got, tt.want)
			}
			if l.Protected != tt.protected {
				t.Errorf("Protected = %t, want %t", l.Protected, tt.protected)
			}
			if !slices.Equal(before, tt.endpoints) {
				t.Error("the snapshot was changed")
			}
		})
	}
}

// BRG-NAC-04, 05, BRG-HLT-01..06, 12, BRG-MET-06, 09: what other protocols
// registered shows with their marks; our own never does (BRG-LAW-02).
func TestForeign(t *testing.T) {
	warn := 0.25
	for name, tt := range map[string]struct {
		endpoint registry.Endpoint
		weight   float64
		meta     map[string]string
	}{
		"ours": {at("a", 1, func(e *registry.Endpoint) {
			e.Rare = &registry.Rare{Tags: []string{"t"}, Drain: true, Warn: &warn}
			e.Status, e.Weight = registry.Warning, 20000
		}), 20000, map[string]string{}},
		"plain": {at("a", 1, of("consul")), 1, map[string]string{"batata.io/source": "consul"}},
		"tags":  {at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Rare = &registry.Rare{Tags: []string{"x", "y"}} }), 1, map[string]string{"batata.io/source": "consul", "batata.io/tags": "x,y"}},
		"a tag with a comma": {
			at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Rare = &registry.Rare{Tags: []string{"x,y", "z"}} }), 1,
			map[string]string{"batata.io/source": "consul", "batata.io/tags": `["x,y","z"]`},
		},
		"its own metadata, marks win": {at("a", 1, of("consul"), func(e *registry.Endpoint) {
			e.Meta = registry.MetaOf(registry.PairsOf(map[string]string{"k": "v", "batata.io/source": "me", "zone": "mine"}))
			e.Publisher.Info = &registry.PublisherInfo{Locality: &registry.Locality{Region: "r", Zone: "z"}}
		}), 1, map[string]string{"batata.io/source": "consul", "k": "v", "region": "r", "zone": "mine"}},
		"warning": {
			at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Status, e.Rare = registry.Warning, &registry.Rare{Warn: &warn} }), 0.25,
			map[string]string{"batata.io/source": "consul"},
		},
		"draining": {
			at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Rare = &registry.Rare{Drain: true} }), 0,
			map[string]string{"batata.io/source": "consul", "preserved.draining": "true"},
		},
		"heavy": {at("a", 1, of("consul"), func(e *registry.Endpoint) { e.Weight = 70000 }), 10000, map[string]string{"batata.io/source": "consul"}},
	} {
		t.Run(name, func(t *testing.T) {
			snap := &registry.Snapshot{Key: registry.ServiceKey{Group: "G", Name: "s"}, Endpoints: []registry.Endpoint{tt.endpoint}}
			got := hosts(t, bare().Choose(snap, Query{Key: snap.Key}))[0]
			if got.Weight != tt.weight || len(got.Metadata) != len(tt.meta) {
				t.Errorf("weight %v, metadata %v, want %v, %v", got.Weight, got.Metadata, tt.weight, tt.meta)
			}
			for k, v := range tt.meta {
				if got.Metadata[k] != v {
					t.Errorf("metadata %s = %q, want %q", k, got.Metadata[k], v)
				}
			}
			if *got.ID != "a#1#DEFAULT#G@@s" || got.Interval != 5000 || got.Timeout != 15000 || got.Remove != 30000 {
				t.Errorf("instance = %+v, want the id of its address and the default times", got)
			}
		})
	}
}

// BRG-NAC-05, NAC-NAM-23: records of other protocols have the kind that Nacos
// fixed and never fix one.
func TestKind(t *testing.T) {
	ext := (&serviceExt{Kind: Persistent}).bytes()
	for name, tt := range map[string]struct {
		snap  *registry.Snapshot
		kind  Kind
		shown []bool // whether each instance shows as ephemeral
	}{
		"absent":                    {nil, 0, nil},
		"ours":                      {&registry.Snapshot{Endpoints: []registry.Endpoint{at("a", 1)}}, Ephemeral, []bool{true}},
		"ours, durable":             {&registry.Snapshot{Endpoints: []registry.Endpoint{at("a", 1, durable)}}, Persistent, []bool{false}},
		"foreign alone":             {&registry.Snapshot{Endpoints: []registry.Endpoint{at("a", 1, of("consul"), durable)}}, 0, []bool{true}},
		"foreign beside durable":    {&registry.Snapshot{Endpoints: []registry.Endpoint{at("a", 1, of("consul")), at("b", 1, durable)}}, Persistent, []bool{false, false}},
		"created, empty":            {&registry.Snapshot{Service: &registry.Service{Ext: []registry.Ext{{Owner: "nacos", Data: ext}}}}, Persistent, nil},
		"created, foreign instance": {&registry.Snapshot{Service: &registry.Service{Ext: []registry.Ext{{Owner: "nacos", Data: ext}}}, Endpoints: []registry.Endpoint{at("a", 1, of("consul"))}}, Persistent, []bool{false}},
		"settings of others":        {&registry.Snapshot{Service: &registry.Service{Ext: []registry.Ext{{Owner: "consul", Data: ext}}}}, 0, nil},
		"settings cannot be read":   {&registry.Snapshot{Service: &registry.Service{Ext: []registry.Ext{{Owner: "nacos", Data: []byte("{")}}}}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := bare()
			if got := s.kind(tt.snap); got != tt.kind {
				t.Errorf("kind() = %d, want %d", got, tt.kind)
			}
			if tt.snap == nil {
				return
			}
			for i, h := range hosts(t, s.Choose(tt.snap, Query{})) {
				if h.Ephemeral != tt.shown[i] {
					t.Errorf("instance %d shows as ephemeral %t, want %t", i, h.Ephemeral, tt.shown[i])
				}
			}
		})
	}
}

// NAC-NAM-14, NAC-QRK-02: it is the time of the answer.
func TestRefTime(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	s := New(Settings{Owner: "nacos", Now: func() time.Time { return now }})
	absent := s.Choose(nil, Query{Key: registry.ServiceKey{Group: "G", Name: "s"}})
	if got := string(absent.AppendInfo(nil, "s")); got != `{"name":"s","groupName":"G","clusters":"","cacheMillis":10000,"hosts":[],"lastRefTime":1700000000000,"checksum":"","allIps":false,"reachProtectionThreshold":false,"valid":true}` {
		t.Errorf("absent = %s", got)
	}
	snap := &registry.Snapshot{Version: 1}
	snap.Moment.Begin(&registry.Clock{}, now.UnixMilli())
	if there, wall := s.Choose(snap, Query{}).RefTime, time.Now().UnixMilli(); there < wall-1000 || there > wall {
		t.Errorf("RefTime = %d, want about %d", there, wall)
	}
}
