package coretest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/easynet-cn/batata/core"
)

// Patience bounds every wait of a test; nothing takes nearly as long.
const Patience = 60 * time.Second

// The times of a cluster in tests: elections take 0.5 to 1 second.
const (
	tick         = 50 * time.Millisecond
	ping         = 60 * time.Millisecond
	replaceAfter = time.Second
)

// Cluster is nodes in one process that speak over loopback. Its methods are for
// one goroutine.
type Cluster struct {
	tb      testing.TB
	change  []func(i int, c *core.Config)
	links   *links
	configs []core.Config
	nodes   []*core.Node
	metrics []*prometheus.Registry // of the last start
}

// NewCluster returns a cluster of n nodes that are not started. change sets what
// a test needs of each; tables that a test writes to are best put into Tables.
func NewCluster(tb testing.TB, n int, change ...func(i int, c *core.Config)) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb, change: change, links: newLinks()}
	addresses := make([]string, n)
	listeners := make([]net.Listener, n)
	for i := range n {
		listeners[i] = listen(tb, "127.0.0.1:0")
		addresses[i] = listeners[i].Addr().String()
		c.links.name(addresses[i], i)
	}
	for i := range n {
		c.configs = append(c.configs, c.config(i, addresses[i], addresses, tb.TempDir()))
		c.configs[i].Peer.Listener = listeners[i]
		c.nodes, c.metrics = append(c.nodes, nil), append(c.metrics, nil)
	}
	tb.Cleanup(func() {
		for i := range c.nodes {
			c.Stop(i)
		}
		for _, l := range listeners {
			_ = l.Close() // of nodes that were never started
		}
	})
	return c
}

// StartCluster returns a cluster of n nodes that are ready.
func StartCluster(tb testing.TB, n int, change ...func(i int, c *core.Config)) *Cluster {
	tb.Helper()
	c := NewCluster(tb, n, change...)
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	c.Start(all...)
	return c
}

func (c *Cluster) config(i int, address string, members []string, dir string) core.Config {
	conf := core.Config{
		DataDir: dir, Durability: core.OS,
		Peer: core.Peer{
			Listen: address, Advertise: address, Members: members, Secret: bytes.Repeat([]byte("coretest"), 4),
			Dial: c.links.dialer(i), Tick: tick, Ping: ping, ReplaceAfter: replaceAfter,
		},
	}
	for _, f := range c.change {
		f(i, &conf)
	}
	return conf
}

func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	var l net.Listener
	Eventually(tb, "the port is free", func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
		return err
	})
	return l
}

// Grow adds a node that is not started; its list names those that are there.
func (c *Cluster) Grow() (i int) {
	c.tb.Helper()
	i = len(c.nodes)
	l := listen(c.tb, "127.0.0.1:0")
	address := l.Addr().String()
	c.links.name(address, i)
	members := []string{address}
	for j := range c.configs {
		members = append(members, c.Address(j))
	}
	conf := c.config(i, address, members, c.tb.TempDir())
	conf.Peer.Listener = l
	c.configs, c.nodes, c.metrics = append(c.configs, conf), append(c.nodes, nil), append(c.metrics, nil)
	return i
}

// Config is what a node is started with; change it while it is not.
func (c *Cluster) Config(i int) *core.Config { return &c.configs[i] }

// Address is the peer address of a node.
func (c *Cluster) Address(i int) string { return c.configs[i].Peer.Listen }

// Node is a started node.
func (c *Cluster) Node(i int) *core.Node { return c.nodes[i] }

// Start starts nodes at once and waits until they are ready.
func (c *Cluster) Start(nodes ...int) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), Patience)
	defer cancel()
	if err := c.Try(ctx, nodes...); err != nil {
		c.tb.Fatalf("core.Start() = %v", err)
	}
}

// Try is Start with an error.
func (c *Cluster) Try(ctx context.Context, nodes ...int) error {
	c.tb.Helper()
	var g errgroup.Group
	for _, i := range nodes {
		conf := c.configs[i]
		if conf.Peer.Listener == nil {
			conf.Peer.Listener = listen(c.tb, conf.Peer.Listen)
		}
		c.configs[i].Peer.Listener = nil
		c.metrics[i] = prometheus.NewRegistry()
		conf.Metrics = c.metrics[i]
		g.Go(func() error {
			n, err := core.Start(ctx, conf)
			c.nodes[i] = n
			return err
		})
	}
	return g.Wait()
}

// Stop stops a node in order: it lets another lead first.
func (c *Cluster) Stop(i int) {
	c.tb.Helper()
	n := c.nodes[i]
	if c.nodes[i] = nil; n == nil {
		return
	}
	if err := n.Close(); err != nil {
		c.tb.Errorf("Close() of node %d = %v", i, err)
	}
}

// Kill stops a node that is cut off, so that it says nothing to anybody any more.
func (c *Cluster) Kill(i int) {
	c.tb.Helper()
	c.Isolate(i)
	Eventually(c.tb, "it leads no more", func() error {
		if c.nodes[i].Leads() && len(c.nodes) > 1 {
			return errLeads
		}
		return nil
	})
	c.Stop(i)
	c.Join(i)
}

// Wipe gives a stopped node an empty disk.
func (c *Cluster) Wipe(i int) {
	c.tb.Helper()
	c.configs[i].DataDir = c.tb.TempDir()
}

// Cut and Mend change the link between two nodes, Isolate and Join all links of
// one.
func (c *Cluster) Cut(a, b int) { c.links.set(a, b, true) }

// Mend see Cut.
func (c *Cluster) Mend(a, b int) { c.links.set(a, b, false) }

// Isolate see Cut.
func (c *Cluster) Isolate(i int) {
	for j := range c.nodes {
		c.links.set(i, j, true)
	}
}

// Join see Cut.
func (c *Cluster) Join(i int) {
	for j := range c.nodes {
		c.links.set(i, j, false)
	}
}

// Metric is the sum of a metric of a node over its labels.
func (c *Cluster) Metric(tb testing.TB, i int, name string) (sum float64) {
	tb.Helper()
	families, err := c.metrics[i].Gather()
	if err != nil {
		tb.Fatalf("Gather() = %v", err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// Leader waits until a node leads, none of those named.
func (c *Cluster) Leader(but ...int) (i int) {
	c.tb.Helper()
	Eventually(c.tb, "somebody leads", func() error {
		for i = range c.nodes {
			if n := c.nodes[i]; n != nil && !slices.Contains(but, i) && n.Leads() {
				return nil
			}
		}
		return errNoLeader
	})
	return i
}

// Followers are the started nodes but the leader.
func (c *Cluster) Followers() (out []int) {
	c.tb.Helper()
	leader := c.Leader()
	for i, n := range c.nodes {
		if n != nil && i != leader {
			out = append(out, i)
		}
	}
	return out
}
