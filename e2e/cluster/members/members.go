// Package members runs the members of one cluster as processes, on loopback, for
// tests: killed, paused, stopped, given empty disks, and cut off from each other.
//
// With Options.Faults a proxy of netfault stands in front of each peer port, and
// members know each other by the proxies only.
//
// The processes end with the test, and so do the proxies. Start reading at Run.
package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/netfault"
	"github.com/easynet-cn/batata/e2e/node"
)

// Secret is that of the clusters.
const Secret = "a secret of more than thirty-two bytes for tests"

// Options of a cluster; the zero value is three members of bin/batata.
type Options struct {
	Count  int    // 0: 3
	Binary string // of all; "": bin/batata
	// Env is the environment of a member beside the test's, NAME=value; nil: none.
	Env  func(i int) []string
	Sets []string // key=value, for all
	// Data is the directory of a member; nil: a fresh one.
	Data func(i int) string
	// Faults puts proxies between the members; Seed is theirs.
	Faults bool
	Seed   uint64
}

// Cluster is some members. It belongs to one test.
type Cluster struct {
	Nodes []*node.Node
	Net   *netfault.Net // nil without Options.Faults

	tb   *testing.T
	host string // of the members' addresses
	list []string
	o    Options
}

// Run starts members and waits until all have a vote.
func Run(t *testing.T, o Options) *Cluster {
	t.Helper()
	c := New(t, o)
	c.Spawn()
	c.Ready()
	c.Voters(len(c.Nodes))
	return c
}

const (
	direct = "127.0.0.1"
	// proxied is where the proxies are, on the ports that they stand for.
	proxied = "127.0.0.2"
	// peerOffset is what the port for members lies above the main port (PRD-02).
	peerOffset = 1001
)

// New prepares members without starting them.
func New(t *testing.T, o Options) *Cluster {
	t.Helper()
	if o.Count == 0 {
		o.Count = 3
	}
	c := &Cluster{tb: t, host: direct, o: o}
	if o.Faults {
		c.host = proxied
		c.Net = netfault.New(o.Count+spare, o.Seed, netfault.Processes(c.pids))
		t.Cleanup(c.Net.Close)
	}
	ports := free(t, o.Count)
	for _, p := range ports {
		c.list = append(c.list, net.JoinHostPort(c.host, strconv.Itoa(p)))
	}
	for _, p := range ports {
		c.add(p, c.list)
	}
	return c
}

// spare is how many members may be added with Grow.
const spare = 2

// Grow prepares one more member, whose list names those that are there.
func (c *Cluster) Grow() int {
	c.tb.Helper()
	port := free(c.tb, 1)[0]
	c.list = append(slices.Clone(c.list), net.JoinHostPort(c.host, strconv.Itoa(port)))
	c.add(port, c.list)
	return len(c.Nodes) - 1
}

func (c *Cluster) add(port int, list []string) {
	c.tb.Helper()
	i := len(c.Nodes)
	sets := []string{
		"nacos.standalone=false", "cluster.secret=" + Secret, "nacos.member.list=" + strings.Join(list, ","),
		"cluster.replace_after=3s",
	}
	if c.Net != nil {
		sets = append(sets, "cluster.advertise="+proxied)
		peer := strconv.Itoa(port + peerOffset)
		if err := c.Net.Listen(i, net.JoinHostPort(proxied, peer), net.JoinHostPort(direct, peer)); err != nil {
			c.tb.Fatal(err)
		}
	}
	var env []string
	if c.o.Env != nil {
		env = c.o.Env(i)
	}
	data := ""
	if c.o.Data != nil {
		data = c.o.Data(i)
	}
	c.Nodes = append(c.Nodes, node.New(c.tb, node.Options{
		Port: port, Binary: c.o.Binary, Env: env, Data: data, Sets: append(sets, c.o.Sets...),
	}))
}

func (c *Cluster) pids() []int {
	out := make([]int, len(c.Nodes))
	for i, n := range c.Nodes {
		out[i] = n.Pid()
	}
	return out
}

// Spawn starts members, all of them when none is named, without waiting.
func (c *Cluster) Spawn(which ...int) {
	c.tb.Helper()
	for _, i := range c.those(which) {
		if err := c.Nodes[i].Spawn(); err != nil {
			c.tb.Fatal(err)
		}
	}
}

// Ready waits until members, all when none is named, are ready.
func (c *Cluster) Ready(which ...int) {
	c.tb.Helper()
	for _, i := range c.those(which) {
		if err := c.Nodes[i].WaitReady(c.tb.Context()); err != nil {
			c.tb.Fatalf("member %d: %v", i, err)
		}
	}
}

// Start is Spawn and Ready, and returns how long it took.
func (c *Cluster) Start(which ...int) time.Duration {
	c.tb.Helper()
	begin := time.Now()
	c.Spawn(which...)
	c.Ready(which...)
	return time.Since(begin)
}

func (c *Cluster) those(which []int) []int {
	if len(which) > 0 {
		return which
	}
	for i := range c.Nodes {
		which = append(which, i)
	}
	return which
}

// exitLimit is how long a member may take that is to end by itself.
const exitLimit = 40 * time.Second

// Exit waits until a member has ended by itself, and returns its exit code.
func (c *Cluster) Exit(i int) int {
	c.tb.Helper()
	t := time.NewTimer(exitLimit)
	defer t.Stop()
	select {
	case <-c.Nodes[i].Done():
	case <-t.C:
		c.tb.Fatalf("member %d still runs after %v", i, exitLimit)
	}
	return c.Nodes[i].ExitCode()
}

// Address is a member's in the list of members.
func (c *Cluster) Address(i int) string { return c.list[i] }

// Addresses are the main addresses of all, for clients.
func (c *Cluster) Addresses() []string {
	out := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		out[i] = net.JoinHostPort(direct, strconv.Itoa(n.Port))
	}
	return out
}

// CLI runs batata cluster on the machine of a member.
func (c *Cluster) CLI(i int, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	binary := filepath.Join(node.Root(), "bin", "batata")
	out, err := exec.CommandContext(ctx, binary, append([]string{"cluster", "--data-dir", c.Nodes[i].Data}, args...)...).CombinedOutput()
	return string(out), err
}

// Voters waits until so many members, and no others, are up and have a vote.
func (c *Cluster) Voters(n int) {
	c.tb.Helper()
	Eventually(c.tb, fmt.Sprintf("%d voters are up", n), func() error {
		out, err := c.List()
		if err != nil {
			return err
		}
		up := 0
		for _, line := range out {
			if strings.Contains(line, " up ") && (strings.Contains(line, " voter ") || strings.Contains(line, " leader ")) {
				up++
			}
		}
		if up != n || len(out) != n {
			return fmt.Errorf("members:\n%s", strings.Join(out, "\n"))
		}
		return nil
	})
}

// List is what the first member that answers says of all, a line each.
func (c *Cluster) List() ([]string, error) {
	var errs []error
	for i := range c.Nodes {
		out, err := c.CLI(i, "list")
		if err == nil && strings.HasPrefix(out, "ID") {
			lines := strings.Split(strings.TrimSpace(out), "\n")
			return lines[1:], nil
		}
		errs = append(errs, fmt.Errorf("%s %w", out, err))
	}
	return nil, errors.Join(errs...)
}

// Leader waits until a member leads, none of those named, and returns its number.
func (c *Cluster) Leader(but ...int) (i int) {
	c.tb.Helper()
	Eventually(c.tb, "somebody leads", func() error {
		for i = range c.Nodes {
			if !slices.Contains(but, i) && c.Leads(i) {
				return nil
			}
		}
		return errors.New("nobody does")
	})
	return i
}

// Leads says whether a member believes that it leads.
func (c *Cluster) Leads(i int) bool { return strings.Contains(c.Metrics(i), "\nbatata_core_leader 1") }

// Followers are the members but the leader.
func (c *Cluster) Followers() (out []int) {
	c.tb.Helper()
	lead := c.Leader()
	for i := range c.Nodes {
		if i != lead {
			out = append(out, i)
		}
	}
	return out
}

// Metrics is what a member tells; empty when it does not answer.
func (c *Cluster) Metrics(i int) string {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(c.Nodes[i].URL() + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// Metric is the sum of a metric of a member over its labels.
func (c *Cluster) Metric(i int, name string) (sum float64) {
	for line := range strings.Lines(c.Metrics(i)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		if err == nil {
			sum += v
		}
	}
	return sum
}

const patience = time.Minute

// Eventually polls until a condition of other processes holds, for a minute.
func Eventually(tb testing.TB, what string, holds func() error) {
	tb.Helper()
	Within(tb, patience, what, holds)
}

// Within polls until a condition of other processes holds and returns how long it
// took.
func Within(tb testing.TB, limit time.Duration, what string, holds func() error) time.Duration {
	tb.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return time.Since(begin)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("not within %v: %s: %v", limit, what, err)
		}
	}
}

// Wait lets time pass, for faults that last.
func Wait(tb testing.TB, d time.Duration) {
	tb.Helper()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-tb.Context().Done():
		tb.Fatal("the test has ended")
	}
}

// free finds main ports whose other ports are free too.
func free(t *testing.T, n int) (out []int) {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", direct+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if taken(port+1000) || taken(port+peerOffset) {
			continue
		}
		if out = append(out, port); len(out) == n {
			return out
		}
	}
	t.Fatal("no free ports")
	return nil
}

func taken(port int) bool {
	if port > 65535 {
		return true
	}
	for _, host := range []string{direct, proxied} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return true
		}
		_ = l.Close()
	}
	return false
}
