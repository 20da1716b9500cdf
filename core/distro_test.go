package core_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

func inOrders(host string) registry.Registration {
	return registry.Registration{
		Service: registry.ServiceKey{Namespace: "public", Group: "g", Name: "orders"}, Host: host, Port: 80, Weight: 1, Enabled: true,
	}
}

// self is the id of a node.
func self(tb testing.TB, n *core.Node) uint64 {
	tb.Helper()
	m, err := n.Cluster().Self(within(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return m.ID
}

// register lets a client register with a node, with a connection or without.
func register(tb testing.TB, n *core.Node, scope, host string, free bool) {
	tb.Helper()
	p := registry.Publisher{Key: registry.PublisherKey{Scope: scope}, Member: self(tb, n)}
	r := inOrders(host)
	if free {
		p.Member = 0
		r.Expiry = registry.Expiry{Unhealthy: time.Minute, Remove: 2 * time.Minute}
	}
	if err := n.Ephemeral().Open(within(tb), p); err != nil {
		tb.Fatalf("Open(%s) = %v", scope, err)
	}
	if err := n.Ephemeral().Publish(within(tb), p.Key, registry.Merge, []registry.Registration{r}); err != nil {
		tb.Fatalf("Publish(%s) = %v", scope, err)
	}
}

// orders is the hosts of the service on a node, with a mark on those whose member
// is out of sight.
func orders(tb testing.TB, n *core.Node) string {
	tb.Helper()
	s, err := n.Registry().Service(within(tb), inOrders("").Service)
	if errors.Is(err, kv.ErrNotFound) {
		return ""
	}
	if err != nil {
		tb.Fatalf("Service() = %v", err)
	}
	var out []string
	for _, e := range s.Endpoints {
		host := e.Host
		if e.Publisher.Stale {
			host += "?"
		}
		out = append(out, host)
	}
	return strings.Join(out, " ")
}

func wantOrders(tb testing.TB, c *coretest.Cluster, want string, nodes ...int) {
	tb.Helper()
	for _, i := range nodes {
		coretest.Eventually(tb, fmt.Sprintf("node %d shows %q", i, want), func() error {
			if got := orders(tb, c.Node(i)); got != want {
				return fmt.Errorf("it shows %q", got)
			}
			return nil
		})
	}
}

// NAC-NAM-44, CTR-R06: what is registered on one member is there on all, and the
// member that was asked shows it at once, whoever owns it.
func TestServicesOnAllMembers(t *testing.T) {
	c := coretest.StartCluster(t, 3)
	all := []int{0, 1, 2}
	register(t, c.Node(0), "conn", "a", false)
	if got := orders(t, c.Node(0)); got != "a" {
		t.Errorf("the member that registered shows %q, want a", got)
	}
	wantOrders(t, c, "a", all...)
	for i := range 6 { // by hash, they belong to any of the three
		register(t, c.Node(1), fmt.Sprintf("free-%d", i), fmt.Sprintf("b%d", i), true)
		if got := orders(t, c.Node(1)); !strings.HasSuffix(got, fmt.Sprintf(" b%d", i)) {
			t.Errorf("the member that was asked shows %q, want b%d too", got, i)
		}
	}
	wantOrders(t, c, "a b0 b1 b2 b3 b4 b5", all...)
	owners := map[uint64]bool{}
	for i := range 6 {
		k := registry.PublisherKey{Scope: fmt.Sprintf("free-%d", i)}
		for _, j := range all {
			b := registry.Beat{Instance: registry.InstanceKey{Publisher: k, Service: inOrders("").Service, ID: fmt.Sprintf("b%d:80", i)}}
			if unknown, err := c.Node(j).Ephemeral().Beat(within(t), []registry.Beat{b}); err != nil || len(unknown) > 0 {
				t.Errorf("Beat() of %s on node %d = %v, %v, want known", k.Scope, j, unknown, err)
			}
			p, err := c.Node(j).Registry().Published(within(t), registry.PublisherKey{Owner: "embedder", Scope: k.Scope})
			if err != nil {
				t.Fatal(err)
			}
			owners[p.Publisher.Member] = true
		}
		if err := c.Node(2).Ephemeral().Withdraw(within(t), k, []registry.InstanceKey{{Service: inOrders("").Service}}); err != nil {
			t.Errorf("Withdraw(%s) = %v", k.Scope, err)
		}
	}
	if len(owners) < 2 {
		t.Errorf("all six publishers are on %v, want them spread", owners)
	}
	if got := orders(t, c.Node(2)); got != "a" {
		t.Errorf("the member that was asked to withdraw shows %q, want a", got)
	}
	if err := c.Node(0).Ephemeral().Close(within(t), []registry.PublisherKey{{Scope: "conn"}}); err != nil {
		t.Fatal(err)
	}
	wantOrders(t, c, "", all...)
}

// ARC-A07: a member that dies, or is stopped in order, takes nobody along. Whoever
// registers elsewhere replaces what was left, and a member that comes back knows
// what the others know before it is ready (CTR-R09).
func TestServicesOutliveTheirMember(t *testing.T) {
	c := coretest.StartCluster(t, 3)
	for i, host := range []string{"a", "b", "c"} {
		register(t, c.Node(i), "conn-"+host, host, false)
	}
	wantOrders(t, c, "a b c", 0, 1, 2)
	dead := c.Leader()
	left := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == dead })
	c.Kill(dead)
	stale := []string{"a", "b", "c"}
	host := stale[dead]
	stale[dead] += "?"
	wantOrders(t, c, strings.Join(stale, " "), left...)
	register(t, c.Node(left[0]), "conn-again", host, false)
	wantOrders(t, c, "a b c", left...)
	c.Start(dead)
	if got := orders(t, c.Node(dead)); got != "a b c" {
		t.Errorf("a member that has just started shows %q, want a b c", got)
	}
	if st, err := c.Node(dead).Registry().Stats(within(t)); err != nil || !st.Synced {
		t.Errorf("Stats() = %+v, %v, want synced", st, err)
	}
	register(t, c.Node(dead), "conn-d", "d", false)
	wantOrders(t, c, "a b c d", 0, 1, 2)
	c.Node(dead).Retire()
	if err := c.Node(dead).Ephemeral().Close(within(t), []registry.PublisherKey{{Scope: "conn-d"}}); err != nil {
		t.Fatal(err)
	}
	c.Stop(dead)
	wantOrders(t, c, "a b c d?", left...)
}

// REL-07, REL-21: both sides of a split go on, and agree once it is over.
func TestServicesAfterASplit(t *testing.T) {
	c := coretest.StartCluster(t, 3)
	for i, host := range []string{"a", "b", "c"} {
		register(t, c.Node(i), "conn-"+host, host, false)
	}
	wantOrders(t, c, "a b c", 0, 1, 2)
	c.Isolate(2)
	register(t, c.Node(2), "conn-z", "z", false)
	register(t, c.Node(0), "conn-d", "d", false)
	register(t, c.Node(2), "free", "f", true)
	if err := c.Node(0).Ephemeral().Close(within(t), []registry.PublisherKey{{Scope: "conn-a"}}); err != nil {
		t.Fatal(err)
	}
	wantOrders(t, c, "b c? d", 0, 1)
	wantOrders(t, c, "a? b? c f z", 2)
	c.Join(2)
	wantOrders(t, c, "b c d f z", 0, 1, 2)
}
