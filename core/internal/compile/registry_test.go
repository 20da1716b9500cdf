package compile_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

func service(name string) registry.ServiceKey {
	return registry.ServiceKey{Namespace: "public", Group: "g", Name: name}
}

func instance(scope, name, host string) registry.Registration {
	return registry.Registration{
		Service: service(name), Publisher: registry.PublisherKey{Scope: scope}, Host: host, Port: 80, Weight: 1, Enabled: true,
	}
}

func putInstance(scope, name, host string) registry.Op {
	r := instance(scope, name, host)
	return registry.Op{PutInstance: &r}
}

func must(t *testing.T, c plugin.Core, ops ...registry.Op) {
	t.Helper()
	if err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, ops...); err != nil {
		t.Fatalf("Register() = %v", err)
	}
}

// show renders a service: its endpoints with their health.
func show(t *testing.T, c plugin.Core, name string) string {
	t.Helper()
	s, err := c.Registry().Service(t.Context(), service(name))
	if errors.Is(err, kv.ErrNotFound) {
		return "none"
	}
	if err != nil {
		t.Fatalf("Service(%s) = %v", name, err)
	}
	var out []string
	for _, e := range s.Endpoints {
		out = append(out, fmt.Sprintf("%s@%s:%d=%d", e.Publisher.Key.Scope, e.Host, e.Port, e.Health))
	}
	return strings.Join(out, " ")
}

func TestPersistentInstances(t *testing.T) {
	_, c := attached(t)
	must(t, c, putInstance("p", "a", "h2"), putInstance("p", "a", "h1"), putInstance("q", "a", "h1"), putInstance("p", "b", "h1"))
	if got := show(t, c, "a"); got != "p@h1:80=1 q@h1:80=1 p@h2:80=1" {
		t.Errorf("Service(a) = %q", got)
	}
	before, _ := c.Registry().Service(t.Context(), service("a"))
	if before.Mixed || before.Revision == 0 || before.Endpoints[0].Modified() != before.Revision || before.Endpoints[0].Rare.Created != before.Revision {
		t.Errorf("snapshot = %+v, want only replicated data, of one revision", before)
	}
	must(t, c, putInstance("p", "a", "h1"))
	if after, _ := c.Registry().Service(t.Context(), service("a")); after != before {
		t.Error("an identical registration was a change")
	}
	key := registry.InstanceKey{Publisher: registry.PublisherKey{Scope: "p"}, Service: service("a"), ID: "h1:80"}
	none := key
	none.ID = "h9:80"
	must(t, c,
		registry.Op{SetStatus: &registry.StatusChange{Instance: key, Status: registry.Critical}},
		registry.Op{SetStatus: &registry.StatusChange{Instance: none, Status: registry.Critical}})
	if got := show(t, c, "a"); got != "p@h1:80=3 q@h1:80=1 p@h2:80=1" {
		t.Errorf("Service(a) after SetStatus = %q", got)
	}
	after, _ := c.Registry().Service(t.Context(), service("a"))
	if e := after.Endpoints[0]; after.Revision <= before.Revision || e.Rare.Created != before.Revision || e.Modified() != after.Revision {
		t.Errorf("changed instance = %+v, want made at %d and changed at %d", e.Instance, before.Revision, after.Revision)
	}
	if after.Endpoints[1].Instance != before.Endpoints[1].Instance {
		t.Error("an instance that did not change was copied")
	}
	must(t, c, registry.Op{PutPublisher: &registry.Publisher{Key: registry.PublisherKey{Scope: "p"}, Status: registry.Warning}})
	if got := show(t, c, "a") + " | " + show(t, c, "b"); got != "p@h1:80=3 q@h1:80=1 p@h2:80=2 | p@h1:80=2" {
		t.Errorf("services of a publisher in Warning = %q", got)
	}
	must(t, c, registry.Op{DropInstance: &key})
	must(t, c, registry.Op{DropPublisher: &registry.PublisherKey{Scope: "p"}})
	if got := show(t, c, "a") + " | " + show(t, c, "b"); got != "q@h1:80=1 | none" {
		t.Errorf("services after the publisher was dropped = %q", got)
	}
	must(t, c, registry.Op{DropInstance: &registry.InstanceKey{Publisher: registry.PublisherKey{Scope: "q"}, Service: service("a")}})
	if got := show(t, c, "a"); got != "none" {
		t.Errorf("Service(a) after all went = %q", got)
	}
	if st, err := c.Registry().Stats(t.Context()); err != nil || st.Services != 0 || st.Instances != 0 || st.Healthy != 0 {
		t.Errorf("Stats() = %+v, %v, want nothing", st, err)
	}
}

// Every field comes back, also from disk.
func TestRowsKeepEverything(t *testing.T) {
	dir := t.TempDir()
	on := func(c *core.Config) { c.DataDir = dir }
	n := coretest.Start(t, on)
	c := attachOne(t, n)
	weight := 0.0
	full := registry.Registration{
		Service: service("a"), Publisher: registry.PublisherKey{Scope: "p"}, ID: "id", Subset: "s", Host: "h", Port: 65535,
		Weight: math.Copysign(0, -1), Warn: &weight, Status: registry.Warning, Enabled: true, Drain: true,
		Locality: registry.Locality{Region: "r", Zone: "z", Subzone: "s"}, Tags: []string{"b", "", "b"},
		Meta: registry.Pairs{{Key: "", Value: "v"}, {Key: "k", Value: ""}}, Ports: []registry.NamedPort{{Name: "x", Port: 1}, {}},
		Addrs: registry.Pairs{{Key: "wan", Value: "h2"}}, Ext: []byte{0, 1},
	}
	info := registry.PublisherInfo{
		Origin: "dc2", Addr: "10.0.0.9", Locality: &registry.Locality{Zone: "z"}, Labels: registry.Pairs{{Key: "l", Value: "v"}}, Ext: []byte("x"), Out: true,
	}
	settings := registry.Service{
		Key: service("a"), Protect: 0.5, Selector: "sel", Meta: registry.Pairs{{Key: "m", Value: "v"}},
		Subsets: []registry.Subset{
			{Name: "s2", Meta: registry.Pairs{{Key: "m", Value: "v"}}},
			{Name: "s1", Check: &registry.Check{Kind: "tcp", Port: 9, Spec: []byte("{}")}},
		},
	}
	must(t, c,
		registry.Op{PutPublisher: &registry.Publisher{Key: registry.PublisherKey{Scope: "p"}, Status: registry.Critical, Info: &info, Stale: true}},
		registry.Op{PutInstance: &full}, registry.Op{PutService: &registry.ServicePut{Service: settings, Ext: []byte("e")}})
	check := func(c plugin.Core) {
		t.Helper()
		s, err := c.Registry().Service(t.Context(), service("a"))
		if err != nil || len(s.Endpoints) != 1 {
			t.Fatalf("Service() = %+v, %v", s, err)
		}
		e := s.Endpoints[0]
		rare := &registry.Rare{
			Tags: full.Tags, Locality: &full.Locality, Ports: full.Ports, Addrs: full.Addrs,
			Ext: []registry.Ext{{Owner: "one", Data: full.Ext}}, Warn: &weight, Drain: true,
			Created: s.Revision, Modified: s.Revision,
		}
		if e.ID != "id" || e.Subset != "s" || e.Host != "h" || e.Port != 65535 || !math.Signbit(e.Weight) || e.Status != registry.Warning ||
			!e.Enabled || e.Health != registry.Maintenance || !e.Meta.Is(full.Meta) || !reflect.DeepEqual(e.Rare, rare) {
			t.Errorf("instance = %+v %+v", e.Instance, e.Rare)
		}
		p := e.Publisher
		if p.Key.Owner != "one" || p.Status != registry.Critical || !p.Stale || p.Ephemeral || p.Modified != s.Revision || !reflect.DeepEqual(p.Info, &info) {
			t.Errorf("publisher = %+v %+v", p, p.Info)
		}
		want := settings
		want.Subsets = []registry.Subset{settings.Subsets[1], settings.Subsets[0]}
		want.Ext, want.Modified, want.Created = []registry.Ext{{Owner: "one", Data: []byte("e")}}, s.Revision, s.Service.Created
		if !reflect.DeepEqual(s.Service, &want) || time.Since(time.UnixMilli(want.Created)) > time.Hour {
			t.Errorf("settings = %+v, want %+v", s.Service, &want)
		}
	}
	check(c)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	check(attachOne(t, coretest.Start(t, on)))
}

func attachOne(t *testing.T, n *core.Node) plugin.Core {
	t.Helper()
	c, err := n.Attach(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServiceSettings(t *testing.T) {
	n, one := attached(t)
	two, err := n.Attach(t.Context(), "two", nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(c plugin.Core, protect float64, ext string, isNew bool) error {
		p := &registry.ServicePut{Service: registry.Service{Key: service("a"), Protect: protect}, New: isNew}
		if ext != "" {
			p.Ext = []byte(ext)
		}
		return txn.Register(t.Context(), c.Txn(), auth.Actor{}, registry.Op{PutService: p})
	}
	check := func(step string, protect float64, want string) {
		t.Helper()
		s, err := one.Registry().Service(t.Context(), service("a"))
		if err != nil {
			t.Fatalf("%s: Service() = %v", step, err)
		}
		var ext []string
		for _, x := range s.Service.Ext {
			ext = append(ext, x.Owner+"="+string(x.Data))
		}
		if got := strings.Join(ext, " "); got != want || s.Service.Protect != protect || s.Gone {
			t.Errorf("%s: ext %q protect %v, want %q %v", step, got, s.Service.Protect, want, protect)
		}
	}
	if err := put(two, 0.1, "x", true); err != nil {
		t.Fatal(err)
	}
	check("made by two", 0.1, "two=x")
	if err := put(one, 0.2, "y", false); err != nil {
		t.Fatal(err)
	}
	check("written by one", 0.2, "one=y two=x")
	first, _ := one.Registry().Service(t.Context(), service("a"))
	if err := put(two, 0.2, "", false); err != nil {
		t.Fatal(err)
	}
	if again, _ := one.Registry().Service(t.Context(), service("a")); again != first {
		t.Error("identical settings were a change")
	}
	if err := put(one, 0.3, "z", true); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("PutService(New) of what exists = %v, want %v", err, kv.ErrConflict)
	}
	k := service("a")
	must(t, one, registry.Op{DropService: &k})
	if got := show(t, one, "a"); got != "none" {
		t.Errorf("Service() without settings and instances = %q", got)
	}
}

// Refusals name the op, registry ops first, and nothing of the batch happens.
func TestRegistryRefusals(t *testing.T) {
	n, c := attached(t)
	theirs := instance("p", "a", "h")
	theirs.Publisher.Owner = "two"
	k := registry.PublisherKey{Scope: "conn"}
	if err := c.Ephemeral().Open(t.Context(), registry.Publisher{Key: k}); err != nil {
		t.Fatal(err)
	}
	must(t, c, registry.Op{PutService: &registry.ServicePut{Service: registry.Service{Key: service("s")}}})
	foreign := &registry.InstanceKey{Publisher: theirs.Publisher, Service: service("a"), ID: "h:80"}
	for name, tt := range map[string]struct {
		op   registry.Op
		want error
	}{
		"put":       {registry.Op{PutInstance: &theirs}, kv.ErrForeign},
		"drop":      {registry.Op{DropInstance: foreign}, kv.ErrForeign},
		"status":    {registry.Op{SetStatus: &registry.StatusChange{Instance: *foreign, Status: registry.Passing}}, kv.ErrForeign},
		"publisher": {registry.Op{PutPublisher: &registry.Publisher{Key: theirs.Publisher}}, kv.ErrForeign},
		"drop all":  {registry.Op{DropPublisher: &theirs.Publisher}, kv.ErrForeign},
		"ephemeral": {putInstance("conn", "a", "h"), registry.ErrEphemeral},
		"of conn":   {registry.Op{DropPublisher: &k}, registry.ErrEphemeral},
		"flag":      {registry.Op{PutPublisher: &registry.Publisher{Key: registry.PublisherKey{Scope: "x"}, Ephemeral: true}}, registry.ErrEphemeral},
		"exists":    {registry.Op{PutService: &registry.ServicePut{Service: registry.Service{Key: service("s")}, New: true}}, kv.ErrConflict},
	} {
		res, err := c.Txn().Commit(t.Context(), txn.Batch{
			KV: kv.Txn{Then: []kv.Op{row("x")}}, Registry: []registry.Op{putInstance("p", "b", "h"), tt.op}, Configs: []configstore.Op{publish("new", "1")},
		})
		if err != nil || res.Committed || len(res.Blocked) != 1 || res.Blocked[0].Op != 1 || !errors.Is(res.Blocked[0].Cause, tt.want) {
			t.Errorf("Commit(%s) = %+v, %v, want op 1 blocked by %v", name, res, err, tt.want)
		}
	}
	res, err := c.Txn().Commit(t.Context(), txn.Batch{
		Registry: []registry.Op{putInstance("p", "b", "h")},
		Configs:  []configstore.Op{publish("new", "1"), {Publish: &configstore.Publish{Key: item("new"), If: configstore.Guard{Absent: true}}}},
	})
	if err != nil || res.Committed || len(res.Blocked) != 1 || res.Blocked[0].Op != 2 {
		t.Errorf("Commit(config refused) = %+v, %v, want op 2 blocked", res, err)
	}
	if got := show(t, c, "b"); got != "none" {
		t.Errorf("Service(b) = %q: a refused batch left an instance", got)
	}
	long, big := instance("p", strings.Repeat("x", registry.MaxName+1), "h"), instance("p", "a", "h")
	big.Ext = make([]byte, registry.MaxExt+1)
	for name, op := range map[string]registry.Op{
		"long":     {PutInstance: &long},
		"big":      {PutInstance: &big},
		"info":     {PutPublisher: &registry.Publisher{Key: registry.PublisherKey{Scope: "p"}, Info: &registry.PublisherInfo{Ext: big.Ext}}},
		"service":  {PutService: &registry.ServicePut{Service: registry.Service{Key: service("a")}, Ext: big.Ext}},
		"subsets":  {PutService: &registry.ServicePut{Service: registry.Service{Key: service("a"), Subsets: make([]registry.Subset, registry.MaxPairs+1)}}},
		"override": {PutOverride: &registry.OverridePut{Override: registry.Override{Service: service("a"), Host: "h", Meta: make(registry.Pairs, registry.MaxPairs+1)}}},
	} {
		if err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, op); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("Register(%s) = %v, want %v", name, err, kv.ErrTooLarge)
		}
	}
	if err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, registry.Op{}); err == nil {
		t.Error("Register(empty op) = nil")
	}
	// The other way round: what is persistent cannot be opened.
	must(t, c, putInstance("p", "a", "h"))
	if err := c.Ephemeral().Open(t.Context(), registry.Publisher{Key: registry.PublisherKey{Scope: "p"}}); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("Open() of a persistent publisher = %v, want %v", err, kv.ErrConflict)
	}
	_ = n
}

// Rows of all three models are one entry, and one revision for who watches.
func TestOneEntry(t *testing.T) {
	_, c := attached(t)
	res, err := c.Txn().Commit(t.Context(), txn.Batch{
		KV:       kv.Txn{Then: []kv.Op{{Kind: kv.Touch, Table: "t", Key: []byte("index"), IfChanged: true}}},
		Registry: []registry.Op{putInstance("p", "a", "h")}, Configs: []configstore.Op{publish("x", "1")},
	})
	if err != nil || !res.Committed || len(res.Configs) != 1 || !res.Configs[0].Created {
		t.Fatalf("Commit() = %+v, %v", res, err)
	}
	s, err := c.Registry().Service(t.Context(), service("a"))
	if err != nil || s.Revision != res.Revision {
		t.Errorf("Service() = %+v, %v, want revision %d", s, err, res.Revision)
	}
	if r, err := c.KV().Get(t.Context(), "t", []byte("index")); err != nil || r.Modified != res.Revision {
		t.Errorf("Get(index) = %+v, %v, want touched at %d", r, err, res.Revision)
	}
	// CTR-D05: what changes nothing moves no index.
	res, err = c.Txn().Commit(t.Context(), txn.Batch{
		KV:       kv.Txn{Then: []kv.Op{{Kind: kv.Touch, Table: "t", Key: []byte("index"), IfChanged: true}}},
		Registry: []registry.Op{putInstance("p", "a", "h")},
	})
	if r, _ := c.KV().Get(t.Context(), "t", []byte("index")); err != nil || !res.Committed || r.Modified != s.Revision {
		t.Errorf("Commit(same) = %+v, %v, index moved to %d", res, err, r.Modified)
	}
}

// Later ops of a batch see earlier ones.
func TestOpsSeeEachOther(t *testing.T) {
	_, c := attached(t)
	key := registry.InstanceKey{Publisher: registry.PublisherKey{Scope: "p"}, Service: service("a"), ID: "h:80"}
	critical := registry.Op{SetStatus: &registry.StatusChange{Instance: key, Status: registry.Critical}}
	must(t, c, putInstance("p", "a", "h"), critical, putInstance("p", "a", "h2"))
	if got := show(t, c, "a"); got != "p@h:80=3 p@h2:80=1" {
		t.Errorf("put, status = %q", got)
	}
	must(t, c, registry.Op{DropPublisher: &registry.PublisherKey{Scope: "p"}}, critical, putInstance("p", "a", "h3"))
	if got := show(t, c, "a"); got != "p@h3:80=1" {
		t.Errorf("drop, status, put = %q, want the status of what was dropped to change nothing", got)
	}
	must(t, c, putInstance("p", "a", "h4"), registry.Op{DropInstance: &registry.InstanceKey{Publisher: key.Publisher, Service: service("a")}})
	if got := show(t, c, "a"); got != "none" {
		t.Errorf("put, drop = %q", got)
	}
	s := registry.ServicePut{Service: registry.Service{Key: service("s")}, New: true}
	err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, registry.Op{PutService: &s}, registry.Op{PutService: &s})
	if !errors.Is(err, kv.ErrConflict) {
		t.Errorf("new service twice in a batch = %v, want %v", err, kv.ErrConflict)
	}
}

// CTR-M08: a publisher and its instances end with its lease, in one revision,
// whichever of them came first.
func TestPublisherLease(t *testing.T) {
	_, c := attached(t)
	grant := func() kv.LeaseID {
		t.Helper()
		id, err := c.Leases().Grant(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	leased := func(id kv.LeaseID) registry.Op {
		return registry.Op{PutPublisher: &registry.Publisher{Key: registry.PublisherKey{Scope: "p"}, Info: &registry.PublisherInfo{Lease: id}}}
	}
	first, second := grant(), grant()
	must(t, c, putInstance("p", "a", "h1"))
	must(t, c, putInstance("p", "a", "h2"), leased(first), putInstance("p", "b", "h1"))
	must(t, c, putInstance("p", "a", "h3"))
	must(t, c, leased(second))
	if err := c.Leases().Revoke(t.Context(), []kv.LeaseID{first}); err != nil {
		t.Fatal(err)
	}
	if got := show(t, c, "a") + " | " + show(t, c, "b"); got != "p@h1:80=1 p@h2:80=1 p@h3:80=1 | p@h1:80=1" {
		t.Errorf("services after the former lease ended = %q", got)
	}
	p, err := c.Registry().Published(t.Context(), registry.PublisherKey{Owner: "one", Scope: "p"})
	if err != nil || p.Publisher.Info.Lease != second || len(p.Instances) != 4 {
		t.Errorf("Published() = %+v, %v, want four instances on the second lease", p, err)
	}
	if err := c.Leases().Revoke(t.Context(), []kv.LeaseID{second}); err != nil {
		t.Fatal(err)
	}
	if got := show(t, c, "a") + " | " + show(t, c, "b"); got != "none | none" {
		t.Errorf("services after the lease ended = %q", got)
	}
	if _, err := c.Registry().Published(t.Context(), registry.PublisherKey{Owner: "one", Scope: "p"}); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Published() after the lease ended = %v, want %v", err, kv.ErrNotFound)
	}
	if err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, leased(second)); !errors.Is(err, kv.ErrLeaseGone) {
		t.Errorf("PutPublisher on a lease that ended = %v, want %v", err, kv.ErrLeaseGone)
	}
}

// CTR-M07: an override is laid over what is registered, may come first, survives
// registrations, and says more than rotation only to its writer's own.
func TestOverrides(t *testing.T) {
	n, one := attached(t)
	two, err := n.Attach(t.Context(), "two", nil)
	if err != nil {
		t.Fatal(err)
	}
	over := func(c plugin.Core, host string, clear bool, change func(*registry.Override)) error {
		p := &registry.OverridePut{Override: registry.Override{Service: service("a"), Host: host, Port: 80}, Clear: clear}
		if change != nil {
			change(&p.Override)
		}
		return txn.Register(t.Context(), c.Txn(), auth.Actor{}, registry.Op{PutOverride: p})
	}
	weight := func(w float64) func(*registry.Override) { return func(o *registry.Override) { o.Weight = &w } }
	enabled := func(v bool) func(*registry.Override) { return func(o *registry.Override) { o.Enabled = &v } }
	meta := func(kv ...registry.Pair) func(*registry.Override) {
		return func(o *registry.Override) { o.Meta, o.HasMeta = kv, true }
	}
	check := func(step, want string) {
		t.Helper()
		s, err := one.Registry().Service(t.Context(), service("a"))
		if err != nil {
			t.Fatalf("%s: Service() = %v", step, err)
		}
		var got []string
		for _, e := range s.Endpoints {
			line := fmt.Sprintf("%s/%s %v %v", e.Publisher.Key.Owner, e.Host, e.Weight, e.Enabled)
			for k, v := range e.Meta.All() {
				line += " " + k + "=" + v
			}
			got = append(got, line)
		}
		if line := strings.Join(got, "; "); line != want {
			t.Errorf("%s: %q, want %q", step, line, want)
		}
	}
	noErr := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("PutOverride = %v", err)
		}
	}
	noErr(over(one, "h1", false, weight(5)))
	r := instance("p", "a", "h1")
	r.Meta = registry.Pairs{{Key: "k", Value: "own"}, {Key: "l", Value: "own"}}
	must(t, one, registry.Op{PutInstance: &r})
	check("before its instance", "one/h1 5 true k=own l=own")
	noErr(over(one, "h1", false, meta(registry.Pair{Key: "k", Value: "laid"})))
	noErr(over(two, "h1", false, enabled(false)))
	check("two parts", "one/h1 5 false k=laid l=own")
	must(t, one, registry.Op{DropInstance: &registry.InstanceKey{Publisher: r.Publisher, Service: r.Service}})
	must(t, one, registry.Op{PutInstance: &r}, putInstance("p", "a", "h2"))
	check("registered again", "one/h1 5 false k=laid l=own; one/h2 1 true")
	if err := over(two, "h1", false, weight(9)); !errors.Is(err, kv.ErrForeign) {
		t.Errorf("weight of another plugin's instance = %v, want %v", err, kv.ErrForeign)
	}
	must(t, two, putInstance("p", "a", "h1"))
	noErr(over(two, "h1", false, weight(9)))
	check("each its own", "one/h1 5 false k=laid l=own; two/h1 9 false; one/h2 1 true")
	raw, err := one.Registry().Published(t.Context(), registry.PublisherKey{Owner: "one", Scope: "p"})
	if err != nil || raw.Instances[0].Instance.Weight != 1 || !raw.Instances[0].Instance.Enabled {
		t.Errorf("Published() = %+v, %v, want it raw", raw, err)
	}
	noErr(over(one, "h1", true, nil))
	check("cleared by one", "one/h1 1 true k=own l=own; two/h1 9 true; one/h2 1 true")
	noErr(over(two, "h1", true, nil))
	check("cleared by two", "one/h1 1 true k=own l=own; two/h1 1 true; one/h2 1 true")
}

// Registrations of different instances never wait for each other, and a lease
// that changes meanwhile catches them all (CTR-T03).
func TestConcurrentRegistrations(t *testing.T) {
	_, c := attached(t)
	id, err := c.Leases().Grant(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	const writers, each = 4, 25
	for w := range writers {
		go func() {
			for i := range each {
				if err := txn.Register(t.Context(), c.Txn(), auth.Actor{}, putInstance("p", "a", fmt.Sprint("h", w, "-", i))); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := range 9 { // to and fro, and on the lease at last
		p := registry.Publisher{Key: registry.PublisherKey{Scope: "p"}}
		if i%2 == 0 {
			p.Info = &registry.PublisherInfo{Lease: id}
		}
		must(t, c, registry.Op{PutPublisher: &p})
	}
	for range writers {
		if err := <-done; err != nil {
			t.Errorf("Register() = %v", err)
		}
	}
	if st, _ := c.Registry().Stats(t.Context()); st.Instances != writers*each {
		t.Errorf("Stats().Instances = %d, want %d", st.Instances, writers*each)
	}
	if err := c.Leases().Revoke(t.Context(), []kv.LeaseID{id}); err != nil {
		t.Fatal(err)
	}
	if got := show(t, c, "a"); got != "none" {
		t.Errorf("Service() after the lease ended = %q: an instance was not on it", got)
	}
}
