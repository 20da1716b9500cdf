package core_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// Two plugins of one node share a catalog; each changes its own only (CTR-M07).
func TestRegistryOfTwoPlugins(t *testing.T) {
	n := coretest.Start(t)
	one, err := n.Attach(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := n.Attach(t.Context(), "two", nil)
	if err != nil {
		t.Fatal(err)
	}
	key := registry.ServiceKey{Namespace: "public", Name: "orders"}
	for i, w := range []registry.Ephemeral{one.Ephemeral(), two.Ephemeral(), n.Ephemeral()} {
		p := registry.PublisherKey{Scope: "conn"}
		if err := w.Open(t.Context(), registry.Publisher{Key: p}); err != nil {
			t.Fatalf("Open() = %v", err)
		}
		r := registry.Registration{Service: key, Host: "10.0.0.1", Port: uint16(i + 1), Enabled: true}
		if err := w.Publish(t.Context(), p, registry.Merge, []registry.Registration{r}); err != nil {
			t.Fatalf("Publish() = %v", err)
		}
	}
	s, err := two.Registry().Service(t.Context(), key)
	if st, err := one.Registry().Stats(t.Context()); err != nil || !st.Synced {
		t.Errorf("Stats() = %+v, %v, want synced: no peer has more", st, err)
	}
	if got := n.ServiceCounts(); len(got) != 1 || got["public"] != 1 {
		t.Errorf("ServiceCounts() = %v, want one service in public", got)
	}
	if err != nil || len(s.Endpoints) != 3 {
		t.Fatalf("Service() = %+v, %v, want three endpoints", s, err)
	}
	for i, want := range []string{"one", "two", "embedder"} {
		self, _ := n.Cluster().Self(t.Context())
		if p := s.Endpoints[i].Publisher; p.Key.Owner != want || p.Member != self.ID {
			t.Errorf("publisher %d = %+v, want one of %s on this member", i, p, want)
		}
	}
	theirs := registry.PublisherKey{Owner: "one", Scope: "conn"}
	if err := two.Ephemeral().Close(t.Context(), []registry.PublisherKey{theirs}); !errors.Is(err, kv.ErrForeign) {
		t.Errorf("Close() of another plugin's publisher = %v, want %v", err, kv.ErrForeign)
	}
}

// CTR-M07: an override whose instance does not come back is dropped, one whose
// instance is there stays.
func TestOverrideIsDropped(t *testing.T) {
	figures := prometheus.NewRegistry()
	n := coretest.Start(t, func(c *core.Config) { c.Registry.OverrideLinger, c.Metrics = 60*time.Millisecond, figures })
	weight := 5.0
	over := func(name string) registry.Op {
		return registry.Op{PutOverride: &registry.OverridePut{Override: registry.Override{
			Service: registry.ServiceKey{Name: name}, Host: "h", Weight: &weight,
		}}}
	}
	r := registry.Registration{
		Service: registry.ServiceKey{Name: "stays"}, Publisher: registry.PublisherKey{Scope: "p"}, Host: "h", Weight: 1, Enabled: true,
	}
	if err := txn.Register(t.Context(), n.Txn(), auth.Actor{}, over("goes"), over("stays"), registry.Op{PutInstance: &r}); err != nil {
		t.Fatal(err)
	}
	view := func(name string) float64 {
		t.Helper()
		r.Service.Name = name
		if err := txn.Register(t.Context(), n.Txn(), auth.Actor{}, registry.Op{PutInstance: &r}); err != nil {
			t.Fatal(err)
		}
		s, err := n.Registry().Service(t.Context(), r.Service)
		if err != nil {
			t.Fatal(err)
		}
		return s.Endpoints[0].Weight
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); figure(t, figures, "batata_registry_overrides") != 1; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("no override was dropped within ten seconds")
		}
	}
	if goes, stays := view("goes"), view("stays"); goes != 1 || stays != 5 {
		t.Errorf("weights = %v, %v, want 1 where the override went and 5 where it stays", goes, stays)
	}
}

// figure reads one metric without labels.
func figure(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// CTR-M06, CTR-R02: what is persistent is the same on all members with the same
// revision, whoever wrote it, and on one that was not there and catches up; what
// is ephemeral is its member's.
func TestRegistryOfACluster(t *testing.T) {
	c := coretest.StartCluster(t, 3)
	key := registry.ServiceKey{Namespace: "public", Name: "orders"}
	put := func(i int, host string) {
		t.Helper()
		r := registry.Registration{Service: key, Publisher: registry.PublisherKey{Scope: "rows"}, Host: host, Enabled: true}
		coretest.Eventually(t, "the instance is taken", func() error { // elections may hold it up
			err := txn.Register(t.Context(), c.Node(i).Txn(), auth.Actor{}, registry.Op{PutInstance: &r})
			if err != nil && !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, kv.ErrUncertain) {
				t.Fatalf("Register() on node %d = %v", i, err)
			}
			return err
		})
		// CTR-B07: the writer reads its own write.
		if s, err := c.Node(i).Registry().Service(t.Context(), key); err != nil || !holds(s, host) {
			t.Errorf("Service() on node %d after its own write = %+v, %v", i, s, err)
		}
	}
	same := func(n int) {
		t.Helper()
		// A follower may have applied its own write before the leader has.
		lead := c.Leader()
		coretest.Eventually(t, "a quorum answers", func() error {
			_, err := c.Node(lead).KV().View(t.Context(), kv.Linearizable)
			return err
		})
		want, err := c.Node(lead).Registry().Service(t.Context(), key)
		if err != nil || len(want.Endpoints) != n {
			t.Fatalf("Service() on the leader = %+v, %v, want %d endpoints", want, err, n)
		}
		for i := range 3 {
			coretest.Eventually(t, "all members show the same", func() error {
				s, err := c.Node(i).Registry().Service(t.Context(), key)
				if err == nil && (len(s.Endpoints) != n || s.Revision != want.Revision) {
					err = fmt.Errorf("node %d: %d endpoints at %d, want %d at %d", i, len(s.Endpoints), s.Revision, n, want.Revision)
				}
				return err
			})
		}
	}
	for i := range 3 {
		put(i, fmt.Sprint("h", i))
	}
	same(3)
	behind := c.Followers()[0]
	c.Stop(behind)
	put(c.Leader(), "h3")
	c.Start(behind)
	same(4)

	conn := registry.PublisherKey{Scope: "conn"}
	if err := c.Node(0).Ephemeral().Open(t.Context(), registry.Publisher{Key: conn}); err != nil {
		t.Fatal(err)
	}
	self, err := c.Node(1).Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Node(0).Ephemeral().Open(t.Context(), registry.Publisher{Key: conn, Member: self.ID}); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Open() for another member = %v, want %v", err, kv.ErrNotFound)
	}
}

func holds(s *registry.Snapshot, host string) bool {
	for i := range s.Endpoints {
		if s.Endpoints[i].Host == host {
			return true
		}
	}
	return false
}
