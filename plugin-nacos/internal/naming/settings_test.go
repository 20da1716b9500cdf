package naming_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// NAC-H1N-10..13, NAC-H2-30..32: the life of a service that somebody defines.
func TestDefinition(t *testing.T) {
	r := newRig(t)
	k := key("s")
	_, err := r.Detail(t.Context(), k)
	r.refused(err, naming.NoService, "service not found, namespace: public, serviceName: G@@s")
	r.refused(r.Redefine(t.Context(), by, k, naming.Definition{}), naming.NoService, "service G@@s not found!")
	r.refused(r.Remove(t.Context(), by, k), naming.NoService, "service G@@s not found!")
	r.ok(r.Create(t.Context(), by, k, naming.Definition{Protect: 0.3, Metadata: pairs("k", "v")}))
	r.refused(r.Create(t.Context(), by, k, naming.Definition{}), naming.ServiceExists, "specified service G@@s already exists!")
	detail := func(want naming.Detail) {
		t.Helper()
		d, err := r.Detail(t.Context(), k)
		r.ok(err)
		if d.Kind != want.Kind || d.Protect != want.Protect || !d.Metadata.Equal(want.Metadata) || d.Selector != want.Selector {
			t.Errorf("Detail() = %+v, want %+v", d, want)
		}
	}
	detail(naming.Detail{Kind: naming.Persistent, Protect: 0.3, Metadata: pairs("k", "v"), Selector: naming.Selector{Type: "none"}})
	label := naming.Selector{Type: "label", Expression: "CONSUMER.label.A = PROVIDER.label.A"}
	r.ok(r.Redefine(t.Context(), by, k, naming.Definition{Protect: 0.8, Metadata: pairs("k2", "v2"), Selector: label}))
	detail(naming.Detail{Kind: naming.Persistent, Protect: 0.8, Metadata: pairs("k2", "v2"), Selector: label})
	r.durable(k, at("10.0.0.1"))
	r.refused(r.Remove(t.Context(), by, k), naming.ServiceNotEmpty, "Service G@@s is not empty, can't be delete. Please unregister instance first")
	r.ok(r.DeregisterPersistent(t.Context(), by, k, "10.0.0.1", 80))
	r.ok(r.Remove(t.Context(), by, k))
	_, err = r.Detail(t.Context(), k)
	r.refused(err, naming.NoService, "service not found, namespace: public, serviceName: G@@s")

	r.register(key("e"), at("10.0.0.1"))
	r.refused(r.Create(t.Context(), by, key("e"), naming.Definition{}), naming.ServiceExists, "specified service G@@e already exists!")
	r.ok(r.Redefine(t.Context(), by, key("e"), naming.Definition{Protect: 0.5}))
	k = key("e")
	detail(naming.Detail{Kind: naming.Ephemeral, Protect: 0.5, Selector: naming.Selector{Type: "none"}})
	k = key("f")
	r.foreign(k, "10.0.0.1")
	detail(naming.Detail{Kind: naming.Ephemeral, Selector: naming.Selector{Type: "none"}})
}

// NAC-H1N-18, NAD-NS-20, NAD-NSEM-31, 40: settings of clusters, of which those
// with instances are shown; what is set later leaves the rest as it was.
func TestClusters(t *testing.T) {
	r := newRig(t)
	k := key("s")
	checker := func(text string, port int, own bool) naming.Checker {
		c, err := naming.ParseChecker(text, port, own)
		r.ok(err)
		return c
	}
	r.refused(r.SetCluster(t.Context(), by, k, naming.Cluster{}), naming.NoService, "service not found groupName: G,serviceName: s")
	r.durable(k, at("10.0.0.1"))
	r.durable(k, at("10.0.0.2", func(in *naming.Instance) { in.Cluster = "c9" }))
	r.ok(r.SetCluster(t.Context(), by, k, naming.Cluster{Checker: checker(`{"type":"NONE"}`, 80, true), Metadata: pairs("cm", "1")}))
	r.ok(r.SetCluster(t.Context(), by, k, naming.Cluster{Name: "c9", Checker: checker(`{"type":"http","path":"/h"}`, 81, false)}))
	r.ok(r.SetCluster(t.Context(), by, k, naming.Cluster{Name: "empty", Checker: checker(`{"type":"WHAT"}`, 80, true)}))
	r.ok(r.Redefine(t.Context(), by, k, naming.Definition{Protect: 0.5})) // keeps clusters
	d, err := r.Detail(t.Context(), k)
	r.ok(err)
	var got []string
	for _, c := range d.Clusters {
		got = append(got, fmt.Sprintf("%s %s %s %d %t %v", c.Name, c.Checker.Type, c.Checker.Spec, c.Checker.Port, c.Checker.OwnPort, c.Metadata))
	}
	if want := []string{"DEFAULT NONE  80 true [{cm 1}]", `c9 HTTP {"type":"http","path":"/h"} 81 false []`}; !slices.Equal(got, want) {
		t.Errorf("Clusters = %q, want %q", got, want)
	}
	snap, err := r.core.Registry().Service(t.Context(), k)
	r.ok(err)
	checks := map[string]registry.Check{}
	for _, s := range snap.Service.Subsets {
		checks[s.Name] = registry.Check{Kind: s.Check.Kind, Port: s.Check.Port}
	}
	for name, want := range map[string]registry.Check{"DEFAULT": {Kind: "none"}, "c9": {Kind: "http", Port: 81}, "empty": {Kind: "none"}} {
		if got := checks[name]; got.Kind != want.Kind || got.Port != want.Port {
			t.Errorf("core checks %s by %+v, want %+v", name, got, want)
		}
	}
	for _, bad := range []string{"", "x", "[]", `"TCP"`} {
		if _, err := naming.ParseChecker(bad, 80, true); err == nil {
			t.Errorf("ParseChecker(%q) = nil, want a refusal", bad)
		}
	}
}

// NAC-NAM-27, NAC-H1N-14, 15, 50: names, by group, by text, by page.
func TestNames(t *testing.T) {
	r := newRig(t)
	for _, k := range []registry.ServiceKey{
		naming.Key("", "G", "c"), naming.Key("", "G", "a"), naming.Key("", "G", "b"), naming.Key("", "G2", "a"), naming.Key("ns", "G", "x"), naming.Key("", "GG", "z"),
	} {
		r.register(k, at("10.0.0.1"))
	}
	r.ok(r.Create(t.Context(), by, naming.Key("", "G", "d-empty"), naming.Definition{}))
	for _, tt := range []struct {
		page, size int
		want       []string
	}{
		{1, 2, []string{"a", "b"}}, {2, 2, []string{"c", "d-empty"}}, {3, 2, []string{}}, {0, 3, []string{"a", "b", "c"}}, {1, 0, []string{}}, {-1, -1, []string{}}, {1 << 40, 1 << 40, []string{}},
	} {
		got, total, err := r.Page(t.Context(), "public", "G", tt.page, tt.size)
		if err != nil || total != 4 || !slices.Equal(got, tt.want) {
			t.Errorf("Page(%d, %d) = %v of %d, %v, want %v of 4", tt.page, tt.size, got, total, err, tt.want)
		}
	}
	all, n, err := r.Names(t.Context(), "", "")
	if err != nil || n != 7 || !slices.Equal(all["ns"], []string{"G@@x"}) || len(all["public"]) != 6 {
		t.Errorf("Names() = %v of %d, %v", all, n, err)
	}
	some, n, err := r.Names(t.Context(), "public", "@@a")
	if err != nil || n != 2 || !slices.Equal(some["public"], []string{"G2@@a", "G@@a"}) && !slices.Equal(some["public"], []string{"G@@a", "G2@@a"}) {
		t.Errorf("Names(@@a) = %v of %d, %v", some, n, err)
	}
	for _, tt := range []struct {
		q     naming.Search
		page  int
		want  []string
		total int
	}{
		{naming.Search{Group: "G2"}, 1, []string{"G2@@a"}, 1},
		{naming.Search{Group: "G", Name: "a"}, 1, []string{"G@@a", "G2@@a"}, 2},
		{naming.Search{Group: "G", Name: "empty"}, 1, []string{"G@@d-empty"}, 1},
		{naming.Search{Name: "empty", WithInstances: true}, 1, nil, 0},
		{naming.Search{Namespace: "ns", WithInstances: true}, 1, []string{"G@@x"}, 1},
		{naming.Search{WithInstances: true}, 2, []string{"G@@c", "G2@@a"}, 5},
		{naming.Search{}, 3, []string{"G2@@a", "GG@@z"}, 6},
	} {
		got, total, err := r.Services(t.Context(), tt.q, tt.page, 2)
		var names []string
		for _, d := range got {
			names = append(names, naming.Grouped(d.Key))
		}
		if err != nil || total != tt.total || !slices.Equal(names, tt.want) {
			t.Errorf("Services(%+v, %d) = %v of %d, %v, want %v of %d", tt.q, tt.page, names, total, err, tt.want, tt.total)
		}
	}
}

// NAC-H2-40..43, NAC-NAM-53, BRG-NAC-02: clients and what they registered; those
// of other protocols are none.
func TestClients(t *testing.T) {
	r := newRig(t)
	r.register(key("s"), at("10.0.0.1"))
	r.register(key("t"), at("10.0.0.1", func(in *naming.Instance) { in.Cluster = "c1" }))
	r.durable(key("d"), at("10.0.0.2"))
	r.ok(r.Register(t.Context(), naming.Connection("conn"), key("s"), at("10.0.0.3")))
	r.foreign(key("s"), "10.0.0.4")
	ids, err := r.Clients(t.Context())
	if want := []string{"10.0.0.1:80#true", "10.0.0.2:80#false", "conn"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("Clients() = %v, %v, want %v", ids, err, want)
	}
	for id, want := range map[string]int{"10.0.0.1:80#true": 2, "10.0.0.2:80#false": 1, "conn": 1} {
		got, err := r.Published(t.Context(), id)
		if err != nil || len(got) != want {
			t.Errorf("Published(%s) = %+v, %v, want %d", id, got, err, want)
		}
		subs, err := r.Subscriptions(t.Context(), id)
		if err != nil || len(subs) != 0 {
			t.Errorf("Subscriptions(%s) = %v, %v, want none", id, subs, err)
		}
	}
	_, err = r.Published(t.Context(), "1.2.3.4:5#true")
	r.refused(err, naming.NoInstance, "clientId [ 1.2.3.4:5#true ] not exist")
	_, err = r.Subscriptions(t.Context(), "node")
	r.refused(err, naming.NoInstance, "clientId [ node ] not exist")
	of, err := r.PublishersOf(t.Context(), key("s"))
	want := []naming.PublisherOf{
		{ClientID: "10.0.0.1:80#true", Target: naming.Target{IP: "10.0.0.1", Port: 80, Cluster: "DEFAULT"}},
		{ClientID: "conn", Target: naming.Target{IP: "10.0.0.3", Port: 80, Cluster: "DEFAULT"}},
	}
	if err != nil || !slices.Equal(of, want) {
		t.Errorf("PublishersOf() = %+v, %v, want %+v", of, err, want)
	}
	if of, err := r.PublishersOf(t.Context(), key("none")); err != nil || len(of) != 0 {
		t.Errorf("PublishersOf(none) = %v, %v, want none", of, err)
	}
}
