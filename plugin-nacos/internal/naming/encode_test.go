package naming

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is an instance as encoding/json would write it.
type host struct {
	ID        *string           `json:"instanceId,omitempty"`
	IP        string            `json:"ip"`
	Port      int               `json:"port"`
	Weight    float64           `json:"weight"`
	Healthy   bool              `json:"healthy"`
	Enabled   bool              `json:"enabled"`
	Ephemeral bool              `json:"ephemeral"`
	Cluster   string            `json:"clusterName"`
	Service   string            `json:"serviceName"`
	Metadata  map[string]string `json:"metadata"`
	Interval  int64             `json:"instanceHeartBeatInterval"`
	Timeout   int64             `json:"instanceHeartBeatTimeOut"`
	Remove    int64             `json:"ipDeleteTimeout"`
	Generator string            `json:"instanceIdGenerator,omitempty"`
}

type info struct {
	Name     string `json:"name"`
	Group    string `json:"groupName"`
	Clusters string `json:"clusters"`
	Cache    int    `json:"cacheMillis"`
	Hosts    []host `json:"hosts"`
	RefTime  int64  `json:"lastRefTime"`
	Checksum string `json:"checksum"`
	AllIPs   bool   `json:"allIps"`
	Reached  bool   `json:"reachProtectionThreshold"`
	Valid    bool   `json:"valid"`
}

// bare is a service over nothing: for what is a function of a snapshot alone.
func bare() *Service { return New(Settings{Owner: "nacos", Hosts: 1}) }

// texts that are hard to escape.
var texts = []string{"", "a", "a b", `"`, `\`, "<b>&", "é", "中文", "\u2028", "\x00\x1f", "\xff\xfe", "\U0001F600", strings.Repeat("long ", 100)}

func text(r *rand.Rand) string { return texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))] }

var weights = []float64{0, 1, 0.5, 2.5, 10000, -1, 20000, 1e-7, 1e21, 123456789.125, math.SmallestNonzeroFloat64, math.MaxFloat64}

func endpoint(r *rand.Rand, owner string) registry.Endpoint {
	p := &registry.Publisher{Key: registry.PublisherKey{Owner: owner, Scope: "s"}, Status: registry.Passing, Ephemeral: r.IntN(2) == 0}
	in := &registry.Instance{
		Subset: text(r), Host: text(r), Port: uint16(1 + r.IntN(65535)), Weight: weights[r.IntN(len(weights))],
		Status: registry.Status(1 + r.IntN(3)), Enabled: r.IntN(3) > 0, Publisher: p,
	}
	meta := map[string]string{}
	for range r.IntN(4) {
		meta[text(r)] = text(r)
	}
	if r.IntN(3) == 0 {
		meta[metaInterval], meta[metaTimeout], meta[metaGenerator] = "1000", "x", text(r)
	}
	in.Meta = registry.MetaOf(registry.PairsOf(meta))
	switch r.IntN(4) {
	case 0:
		in.Rare = &registry.Rare{Ext: []registry.Ext{{Owner: owner, Data: []byte{idNone}}}}
	case 1:
		in.Rare = &registry.Rare{Ext: []registry.Ext{{Owner: "other", Data: []byte("x")}, {Owner: owner, Data: append([]byte{idGiven}, text(r)+"!"...)}}}
	}
	health := max(in.Status, p.Status)
	if !in.Enabled {
		health = registry.Maintenance
	}
	return registry.Endpoint{Instance: in, Health: health}
}

func hostOf(k registry.ServiceKey, e *registry.Endpoint, protected bool) host {
	h := host{
		IP: e.Host, Port: int(e.Port), Weight: e.Weight, Healthy: protected || e.Status <= registry.Warning, Enabled: e.Enabled,
		Ephemeral: e.Publisher.Ephemeral, Cluster: e.Subset, Service: k.Group + "@@" + k.Name, Metadata: map[string]string{},
		Interval: 5000, Timeout: 15000, Remove: 30000, Generator: "simple",
	}
	maps.Insert(h.Metadata, e.Meta.All())
	if len(e.Meta) > 0 {
		h.Generator = h.Metadata[metaGenerator]
	}
	if h.Metadata[metaInterval] == "1000" {
		h.Interval = 1000
	}
	b, err := json.Marshal(e.Port)
	if err != nil {
		panic(err)
	}
	id := e.Host + "#" + string(b) + "#" + e.Subset + "#" + h.Service
	h.ID = &id
	if e.Rare != nil {
		switch data := e.Rare.Ext[len(e.Rare.Ext)-1].Data; data[0] {
		case idNone:
			h.ID = nil
		case idGiven:
			given := string(data[1:])
			h.ID = &given
		}
	}
	return h
}

// ENG-16: what is appended by hand is what encoding/json writes, byte for byte, and
// so holds no null (NAC-TRN-07); NAC-NAM-01..17 are the keys.
func TestInfoAgainstEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		s := bare()
		snap := &registry.Snapshot{Key: registry.ServiceKey{Namespace: "public", Group: text(r), Name: text(r)}, Version: r.Uint64N(1 << 40)}
		if r.IntN(2) == 0 {
			snap.Service = &registry.Service{Protect: r.Float64()}
		}
		for range r.IntN(5) {
			snap.Endpoints = append(snap.Endpoints, endpoint(r, "nacos"))
		}
		clusters := ""
		if r.IntN(3) == 0 {
			clusters = text(r)
		}
		l := s.Choose(snap, Query{Key: snap.Key, Clusters: clusters, HealthyOnly: r.IntN(3) == 0, Disabled: r.IntN(3) == 0})
		name := text(r)
		want := info{
			Name: name, Group: snap.Key.Group, Clusters: clusters, Cache: 10000, Hosts: []host{}, Valid: true,
			RefTime: l.RefTime, Reached: l.Protected,
		}
		for i := range l.Endpoints {
			want.Hosts = append(want.Hosts, hostOf(snap.Key, &l.Endpoints[i], l.Protected))
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 2 { // made, then kept
			if got := string(l.AppendInfo(nil, name)); got != string(b) {
				t.Fatalf("round %d: AppendInfo() =\n%s\nwant\n%s", round, got, b)
			}
		}
	}
}

// ENG-05: a list is rendered once for all who are answered the same.
func TestListIsMadeOnce(t *testing.T) {
	s := bare()
	r := rand.New(rand.NewPCG(3, 4))
	k := registry.ServiceKey{Namespace: "public", Group: "G", Name: "s"}
	snap := &registry.Snapshot{Key: k, Version: 1}
	for range 100 {
		e := endpoint(r, "nacos")
		e.Subset, e.Enabled, e.Health = "c1", true, registry.Passing
		snap.Endpoints = append(snap.Endpoints, e)
	}
	whole := s.Choose(snap, Query{Key: k}).Hosts()
	for name, q := range map[string]Query{
		"again": {Key: k}, "the only cluster": {Key: k, Clusters: "c1"}, "with another": {Key: k, Clusters: "c2,c1"},
		"healthy": {Key: k, HealthyOnly: true}, "local": {Key: k, Local: true},
	} {
		if got := s.Choose(snap, q).Hosts(); &got[0] != &whole[0] {
			t.Errorf("%s: the list was made again", name)
		}
	}
	if got := s.Choose(snap, Query{Key: k, Disabled: true}).Hosts(); &got[0] == &whole[0] {
		t.Error("operators are shown the list of clients")
	}
	if n := testing.AllocsPerRun(100, func() { s.Choose(snap, Query{Key: k}).Hosts() }); n > 2 {
		t.Errorf("a list that was made makes %.0f allocations, want at most 2", n)
	}
}
