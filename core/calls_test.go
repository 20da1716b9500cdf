package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

// answering attaches a plugin whose handler says which member it is on.
func answering(t *testing.T, n *core.Node) plugin.Core {
	t.Helper()
	c, err := n.Attach(t.Context(), "asked", nil)
	if err != nil {
		t.Fatal(err)
	}
	self, err := c.Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := c.(inproc.Reachable)
	r.HandlePeer("who", func(_ context.Context, from uint64, body []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%d asked %d: %s", from, self.ID, body), nil
	})
	r.HandlePeer("fail", func(context.Context, uint64, []byte) ([]byte, error) { return nil, errors.New("no") })
	r.HandlePeer("large", func(context.Context, uint64, []byte) ([]byte, error) { return make([]byte, 5<<20), nil })
	return c
}

// CTR-L01, CTR-L02: a plugin reaches its own kind on every member, itself
// included, and nobody else does.
func TestCallAndGather(t *testing.T) {
	c := coretest.StartCluster(t, 3)
	ms := members(t, c.Node(0), 3, cluster.Up)
	var cores []plugin.Core
	for i := range 3 {
		cores = append(cores, answering(t, c.Node(i)))
		members(t, c.Node(i), 3, cluster.Up)
	}
	self, err := cores[0].Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		want := fmt.Sprintf("%d asked %d: hello", self.ID, m.ID)
		b, err := cores[0].Cluster().Call(within(t), cluster.Target{Member: m.ID}, "who", []byte("hello"))
		if err != nil || string(b) != want {
			t.Errorf("Call() = %q, %v, want %q", b, err, want)
		}
		var he *cluster.HandlerError
		if _, err := cores[0].Cluster().Call(within(t), cluster.Target{Member: m.ID}, "fail", nil); !errors.As(err, &he) || he.Text != "no" {
			t.Errorf("Call(fail) = %v, want what the handler said", err)
		}
		if _, err := cores[0].Cluster().Call(within(t), cluster.Target{Member: m.ID}, "none", nil); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Call(none) = %v, want %v", err, kv.ErrNotFound)
		}
		if _, err := c.Node(0).Cluster().Call(within(t), cluster.Target{Member: m.ID}, "who", nil); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Call() of another owner = %v, want %v", err, kv.ErrNotFound)
		}
	}
	if _, err := cores[0].Cluster().Call(within(t), cluster.Target{Member: 5}, "who", nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() of nobody = %v, want %v", err, kv.ErrNotFound)
	}
	answers, err := cores[1].Cluster().Gather(within(t), "who", []byte("all"))
	if err != nil || len(answers) != 3 {
		t.Fatalf("Gather() = %+v, %v, want three", answers, err)
	}
	for _, a := range answers {
		if a.Err != nil || !strings.HasSuffix(string(a.Body), "all") {
			t.Errorf("answer = %+v", a)
		}
	}
	large, err := cores[1].Cluster().Gather(within(t), "large", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range large {
		if !errors.Is(a.Err, kv.ErrTooLarge) {
			t.Errorf("answer of 5 MiB = %d bytes, %v, want %v (CTR-B10)", len(a.Body), a.Err, kv.ErrTooLarge)
		}
	}
	c.Isolate(2)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	answers, err = cores[0].Cluster().Gather(ctx, "who", nil)
	failed := 0
	for _, a := range answers {
		if a.Err != nil {
			failed++
		}
	}
	if err != nil || len(answers) != 3 || failed != 1 {
		t.Errorf("Gather() with one cut off = %+v, %v, want one error", answers, err)
	}
	c.Join(2)
	cores[1].(inproc.Reachable).ForgetPeers()
	them, err := cores[1].Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cores[1].Cluster().Call(within(t), cluster.Target{Member: them.ID}, "who", nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() after the plugin stopped = %v, want %v", err, kv.ErrNotFound)
	}
}

// A node that is alone has the same contract.
func TestCallAlone(t *testing.T) {
	n := coretest.Start(t)
	p := answering(t, n)
	self, err := p.Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := p.Cluster().Call(t.Context(), cluster.Target{Member: self.ID}, "who", nil); err != nil || len(b) == 0 {
		t.Errorf("Call() of itself = %q, %v", b, err)
	}
	if _, err := p.Cluster().Call(t.Context(), cluster.Target{Member: 1}, "who", nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() of nobody = %v, want %v", err, kv.ErrNotFound)
	}
	if a, err := p.Cluster().Gather(t.Context(), "fail", nil); err != nil || len(a) != 1 || a[0].Err == nil {
		t.Errorf("Gather() = %+v, %v", a, err)
	}
	if err := n.Admin().Leave(t.Context()); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Leave() = %v, want %v", err, kv.ErrNotFound)
	}
	s, err := p.Cluster().Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ms, err := s.Next(t.Context()); err != nil || len(ms) != 1 || ms[0].Slot != 1 {
		t.Errorf("Next() = %+v, %v", ms, err)
	}
	_ = s.Close()
	if _, err := s.Next(t.Context()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() after Close = %v, want %v", err, kv.ErrClosed)
	}
}

// A watcher sees members come, and go down.
func TestWatchMembers(t *testing.T) {
	c := coretest.StartCluster(t, 2)
	s, err := c.Node(0).Cluster().Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	until := func(what string, holds func([]*cluster.Member) bool) {
		t.Helper()
		for {
			ms, err := s.Next(within(t))
			if err != nil {
				t.Fatalf("Next() = %v before %s", err, what)
			}
			if holds(ms) {
				return
			}
		}
	}
	until("both are there", func(ms []*cluster.Member) bool { return len(ms) == 2 })
	c.Start(c.Grow())
	until("a third one is there", func(ms []*cluster.Member) bool { return len(ms) == 3 })
	members(t, c.Node(0), 3, cluster.Up)
	c.Kill(2)
	until("it is down", func(ms []*cluster.Member) bool {
		for _, m := range ms {
			if m.State == cluster.Down {
				return true
			}
		}
		return false
	})
	c.Node(0).Announce(map[string]string{"main": "here:1"}, map[string]string{"weight": "3"})
	until("it has announced itself", func(ms []*cluster.Member) bool {
		for _, m := range ms {
			if m.Addrs["main"] == "here:1" && m.Meta["weight"] == "3" {
				return true
			}
		}
		return false
	})
}

// ARC-S09: a lease that a follower keeps alive lives, also when another member
// begins to lead.
func TestKeepAliveOnFollower(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	members(t, c.Node(0), 3, cluster.Up)
	n := c.Node(c.Followers()[0])
	const ttl = 1500 * time.Millisecond
	kept, err := n.Leases().Grant(within(t), ttl)
	if err != nil {
		t.Fatal(err)
	}
	left, err := n.Leases().Grant(within(t), ttl)
	if err != nil {
		t.Fatal(err)
	}
	for key, id := range map[string]kv.LeaseID{"kept": kept, "left": left} {
		_, err := n.KV().Commit(within(t), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "t", Key: []byte(key), Lease: id}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	begin, moved := time.Now(), false
	coretest.Eventually(t, "the other lease ends", func() error {
		d, err := n.Leases().KeepAlive(within(t), []kv.LeaseID{kept, 99})
		if err != nil && !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, cluster.ErrUnreachable) && !errors.Is(err, kv.ErrUncertain) {
			t.Fatalf("KeepAlive() = %v", err)
		}
		if err == nil && (len(d) != 2 || d[0] != ttl || d[1] != 0) {
			t.Fatalf("KeepAlive() = %v, want %v and a lease that is not", d, ttl)
		}
		if !moved && time.Since(begin) > ttl/2 {
			moved = true
			if err := n.Admin().Transfer(within(t), 0); err != nil {
				t.Fatalf("Transfer() = %v", err)
			}
		}
		if _, err := n.KV().Get(t.Context(), "t", []byte("left")); !errors.Is(err, kv.ErrNotFound) {
			return errors.New("it lives")
		}
		return nil
	})
	if _, err := n.KV().Get(t.Context(), "t", []byte("kept")); err != nil {
		t.Errorf("Get() of the row that is kept = %v", err)
	}
}

// What a plugin registers in New is reached from its start to its shutdown.
func TestPeerRegistration(t *testing.T) {
	n := coretest.Start(t)
	c, err := n.Attach(t.Context(), "asked", nil)
	if err != nil {
		t.Fatal(err)
	}
	self, err := c.Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := inproc.NewHost(inproc.Settings{Manifest: plugin.Manifest{Name: "asked"}, Core: c, Logger: zap.NewNop()})
	h.Peer("m", func(context.Context, uint64, []byte) ([]byte, error) { return []byte("yes"), nil })
	h.Seal()
	call := func() error {
		_, err := h.Cluster().Call(t.Context(), cluster.Target{Member: self.ID}, "m", nil)
		return err
	}
	if err := call(); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() before the start = %v, want %v", err, kv.ErrNotFound)
	}
	h.StartWorkers()
	if err := call(); err != nil {
		t.Errorf("Call() = %v", err)
	}
	h.StopWorkers()
	if err := call(); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() after the shutdown = %v, want %v", err, kv.ErrNotFound)
	}
	defer func() {
		if recover() == nil {
			t.Error("Peer() after New did not panic")
		}
	}()
	h.Peer("late", func(context.Context, uint64, []byte) ([]byte, error) { return nil, nil })
}
