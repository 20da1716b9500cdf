package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/node"
)

// members are three processes of one cluster.
type members struct {
	tb    *testing.T
	nodes []*node.Node
}

var errStillLeads = errors.New("it still leads")

const secret = "a secret of more than thirty-two bytes for tests"

// run starts three members and waits until all have a vote.
func run(t *testing.T, sets ...string) *members {
	t.Helper()
	ports := free(t, 3)
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = "127.0.0.1:" + strconv.Itoa(p)
	}
	m := &members{tb: t}
	for _, p := range ports {
		m.nodes = append(m.nodes, node.New(t, node.Options{Port: p, Sets: append([]string{
			"nacos.standalone=false", "cluster.secret=" + secret, "nacos.member.list=" + strings.Join(list, ","),
			"cluster.replace_after=3s",
		}, sets...)}))
	}
	for _, n := range m.nodes {
		if err := n.Spawn(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range m.nodes {
		m.ready(n)
	}
	m.voters(3)
	return m
}

func (m *members) ready(n *node.Node) {
	m.tb.Helper()
	if err := n.WaitReady(m.tb.Context()); err != nil {
		m.tb.Fatal(err)
	}
}

// free finds main ports whose other ports are free too.
func free(t *testing.T, n int) (out []int) {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if taken(port+1000) || taken(port+1001) {
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
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}

// cluster runs the command line on the machine of a member.
func (m *members) cluster(i int, args ...string) (string, error) {
	binary := filepath.Join(node.Root(), "bin", "batata")
	out, err := exec.Command(binary, append([]string{"cluster", "--data-dir", m.nodes[i].Data}, args...)...).CombinedOutput()
	return string(out), err
}

// voters waits until so many members are up and have a vote.
func (m *members) voters(n int) {
	m.tb.Helper()
	eventually(m.tb, fmt.Sprintf("%d voters are up", n), func() error {
		out, err := m.list()
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

// list is what a member that answers says of all.
func (m *members) list() ([]string, error) {
	var errs []error
	for i := range m.nodes {
		out, err := m.cluster(i, "list")
		if err == nil && strings.HasPrefix(out, "ID") {
			lines := strings.Split(strings.TrimSpace(out), "\n")
			return lines[1:], nil
		}
		errs = append(errs, fmt.Errorf("%s %w", out, err))
	}
	return nil, errors.Join(errs...)
}

// leader is the number of the member that leads.
func (m *members) leader(but ...int) (i int) {
	m.tb.Helper()
	eventually(m.tb, "somebody leads", func() error {
		for i = range m.nodes {
			if len(but) > 0 && i == but[0] {
				continue
			}
			if strings.Contains(m.metrics(i), "\nbatata_core_leader 1") {
				return nil
			}
		}
		return errors.New("nobody does")
	})
	return i
}

func (m *members) metrics(i int) string {
	client := &http.Client{Timeout: time.Second}
	resp, err := client.Get(m.nodes[i].URL() + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// eventually polls until a condition of other processes holds.
func eventually(tb testing.TB, what string, holds func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("never: %s: %v", what, err)
		}
	}
}

// writer publishes one config again and again, with rising numbers.
type writer struct {
	m      *members
	name   string
	client *http.Client
	at     int          // member it writes through
	acked  atomic.Int64 // the last number that was acknowledged
	sent   atomic.Int64
	fails  atomic.Int64
	gap    atomic.Int64 // longest time between two acknowledged writes
}

func value(n int64) string { return "number " + strconv.FormatInt(n, 10) }

// write goes on until ctx ends. After a failure it tries the next member, as a
// client with three addresses does; a failed write is not repeated.
func (w *writer) write(ctx context.Context) {
	last := time.Now()
	for n := int64(1); ctx.Err() == nil; n++ {
		w.sent.Store(n)
		if err := w.publish(ctx, value(n)); err != nil {
			if ctx.Err() == nil {
				w.fails.Add(1)
				w.at = (w.at + 1) % len(w.m.nodes)
			}
			continue
		}
		w.acked.Store(n)
		now := time.Now()
		w.gap.Store(max(w.gap.Load(), int64(now.Sub(last))))
		last = now
	}
}

func (w *writer) publish(ctx context.Context, content string) error {
	form := url.Values{"dataId": {w.name}, "group": {"CLUSTER"}, "content": {content}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.m.nodes[w.at].URL()+"/nacos/v1/cs/configs", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(b) != "true" {
		return fmt.Errorf("%d %s %w", resp.StatusCode, b, err)
	}
	return nil
}

// read returns the number that a member has of a config.
func (m *members) read(i int, name string) (int64, error) {
	client := &http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(m.nodes[i].URL() + "/nacos/v1/cs/configs?group=CLUSTER&dataId=" + name)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	text, ok := strings.CutPrefix(string(b), "number ")
	if !ok {
		return 0, fmt.Errorf("%d %s", resp.StatusCode, b)
	}
	return strconv.ParseInt(text, 10, 64)
}

// load is writers on all members.
type load struct {
	writers []*writer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func (m *members) load(count int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for i := range count {
		w := &writer{
			m: m, name: fmt.Sprintf("item-%d-%d", i, time.Now().UnixNano()), at: i % len(m.nodes),
			client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
		}
		l.writers = append(l.writers, w)
		l.wg.Go(func() { w.write(ctx); w.client.CloseIdleConnections() })
	}
	return l
}

func (l *load) acked() (n int64) {
	for _, w := range l.writers {
		n += w.acked.Load()
	}
	return n
}

// more waits until every writer has got on.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := make([]int64, len(l.writers))
	for i, w := range l.writers {
		from[i] = w.acked.Load()
	}
	eventually(t, "the load gets on", func() error {
		for i, w := range l.writers {
			if w.acked.Load() < from[i]+n {
				return fmt.Errorf("writer %d is at %d", i, w.acked.Load())
			}
		}
		return nil
	})
}

// stop ends the load and wants every member to have what was acknowledged last,
// or something that was sent after it.
func (l *load) stop(t *testing.T, m *members) (fails int64, gap time.Duration) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	for _, w := range l.writers {
		fails += w.fails.Load()
		gap = max(gap, time.Duration(w.gap.Load()))
		for i := range m.nodes {
			eventually(t, "a member answers", func() error {
				got, err := m.read(i, w.name)
				if err != nil {
					return err
				}
				if got < w.acked.Load() || got > w.sent.Load() {
					return fmt.Errorf("member %d has number %d of %s, acknowledged were %d, sent %d", i, got, w.name, w.acked.Load(), w.sent.Load())
				}
				return nil
			})
		}
	}
	return fails, gap
}
