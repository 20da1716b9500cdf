package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
)

func withTable(_ int, c *core.Config) {
	c.Tables = []kv.TableSpec{{Name: "t", Residency: kv.Hot}}
}

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), coretest.Patience)
	tb.Cleanup(cancel)
	return ctx
}

func put(ctx context.Context, n *core.Node, key, value string) error {
	_, err := n.KV().Commit(ctx, kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "t", Key: []byte(key), Value: []byte(value)}}})
	return err
}

// mustPut writes; elections may hold it up, and make it do so again.
func mustPut(tb testing.TB, n *core.Node, key, value string) {
	tb.Helper()
	coretest.Eventually(tb, "the write is taken", func() error {
		err := put(within(tb), n, key, value)
		if err != nil && !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, kv.ErrUncertain) {
			tb.Fatalf("Commit(%s) = %v", key, err)
		}
		return err
	})
}

// wantRow reads after a quorum round, which an election may hold up.
func wantRow(tb testing.TB, n *core.Node, key, value string) {
	tb.Helper()
	var v kv.View
	coretest.Eventually(tb, "a quorum answers", func() (err error) {
		v, err = n.KV().View(within(tb), kv.Linearizable)
		if err != nil && !errors.Is(err, kv.ErrNoLeader) {
			tb.Fatalf("View() = %v", err)
		}
		return err
	})
	r, err := v.Get(within(tb), "t", []byte(key))
	if err != nil || string(r.Value) != value {
		tb.Errorf("Get(%s) = %v, %v, want %q", key, r, err, value)
	}
}

// members waits until a node sees so many members, all voters in a state.
func members(tb testing.TB, n *core.Node, count int, state string) []*cluster.Member {
	tb.Helper()
	var ms []*cluster.Member
	coretest.Eventually(tb, fmt.Sprintf("%d members are %s", count, state), func() (err error) {
		if ms, err = n.Cluster().Members(tb.Context()); err != nil {
			return err
		}
		if len(ms) != count {
			return fmt.Errorf("%d members", len(ms))
		}
		for _, m := range ms {
			if m.State != state || !m.Voter {
				return fmt.Errorf("member %s is %s, voter %v", m.Name, m.State, m.Voter)
			}
		}
		return nil
	})
	return ms
}

// ARC-R12, ARC-R05: three fresh nodes become one cluster, in whatever order they
// start, and every one of them takes writes and reads.
func TestFormation(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			c := coretest.NewCluster(t, 3, withTable)
			started := make(chan error, 3)
			for _, i := range order {
				go func() { started <- c.Try(t.Context(), i) }()
			}
			for range order {
				if err := <-started; err != nil {
					t.Fatalf("Start() = %v", err)
				}
			}
			slots := map[uint8]bool{}
			for i := range 3 {
				for _, m := range members(t, c.Node(i), 3, cluster.Up) {
					slots[m.Slot] = true
				}
				mustPut(t, c.Node(i), fmt.Sprint(i), "v")
				for j := range 3 {
					wantRow(t, c.Node(j), fmt.Sprint(i), "v")
				}
			}
			if len(slots) != 3 || slots[0] {
				t.Errorf("slots = %v, want three (BRG-IDX-04)", slots)
			}
			var clusters []uint64
			for i := range 3 {
				s, err := c.Node(i).Cluster().State(t.Context())
				if err != nil || !s.Ready || s.Cluster == 0 {
					t.Errorf("State() = %+v, %v", s, err)
				}
				clusters = append(clusters, s.Cluster)
			}
			if slices.Min(clusters) != slices.Max(clusters) {
				t.Errorf("clusters = %v, want one", clusters)
			}
		})
	}
}

// ARC-R12: nobody forms a cluster while one of the list is silent, and it says
// for whom it waits; an operator may order it.
func TestFormationOneMissing(t *testing.T) {
	var forming core.Forming
	c := coretest.NewCluster(t, 3, withTable, func(i int, c *core.Config) {
		if i == 0 {
			c.Peer.Forming = &forming
		}
	})
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	ends := make(chan error, 2)
	go func() { ends <- c.Try(ctx, 0, 1) }()
	want := "no answer from " + c.Address(2)
	coretest.Eventually(t, want, func() error {
		if w := forming.Waits(); len(w) < len(want) || w[:len(want)] != want {
			return fmt.Errorf("it waits: %s", w)
		}
		return nil
	})
	select {
	case err := <-ends:
		t.Fatalf("Start() with one missing = %v, want it to wait", err)
	default:
	}
	if err := forming.Force(); err != nil {
		t.Fatalf("Force() = %v", err)
	}
	if err := <-ends; err != nil {
		t.Fatalf("Start() = %v", err)
	}
	members(t, c.Node(0), 2, cluster.Up)
	c.Start(2) // it finds the cluster that there is
	members(t, c.Node(2), 3, cluster.Up)
	if err := forming.Force(); err == nil {
		t.Error("Force() of a member = nil error")
	}
}

// ARC-R12: two lists that disagree form nothing; each says how they differ.
func TestFormationListsDisagree(t *testing.T) {
	var forming core.Forming
	c := coretest.NewCluster(t, 3, withTable, func(i int, c *core.Config) {
		if i == 0 {
			c.Peer.Forming = &forming
			c.Peer.Members = c.Peer.Members[:2]
		}
	})
	ctx, cancel := context.WithCancel(within(t))
	ends := make(chan error, 1)
	go func() { ends <- c.Try(ctx, 0, 1, 2) }()
	want := fmt.Sprintf("the member at %s lists", c.Address(1))
	coretest.Eventually(t, want, func() error {
		if w := forming.Waits(); len(w) < len(want) || w[:len(want)] != want {
			return fmt.Errorf("it waits: %s", w)
		}
		return nil
	})
	cancel()
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Errorf("Start() = %v, want it to have waited", err)
	}
}

// ARC-R12: a list with members of two clusters is an error that names both.
func TestFormationTwoClusters(t *testing.T) {
	a := coretest.StartCluster(t, 1, withTable)
	b := coretest.StartCluster(t, 1, withTable)
	c := coretest.NewCluster(t, 1, withTable, func(_ int, c *core.Config) {
		c.Peer.Members = []string{a.Address(0), b.Address(0)}
	})
	err := c.Try(within(t), 0)
	if err == nil {
		t.Fatal("Start() = nil error")
	}
	for _, other := range []*coretest.Cluster{a, b} {
		s, serr := other.Node(0).Cluster().State(t.Context())
		if want := fmt.Sprintf("%s in cluster %016x", other.Address(0), s.Cluster); serr != nil || !contains(err, want) {
			t.Errorf("Start() = %v, want %q in it", err, want)
		}
	}
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

// ARC-R12: members that restart while others form find each other again, all at
// once or one by one.
func TestRestart(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	mustPut(t, c.Node(0), "k", "1")
	for i := range 3 {
		c.Stop(i)
	}
	c.Start(0, 1, 2)
	wantRow(t, c.Node(1), "k", "1")
	for i := range 3 {
		c.Kill(i)
		mustPut(t, c.Node((i+1)%3), "k", fmt.Sprint(i))
		c.Start(i)
		wantRow(t, c.Node(i), "k", fmt.Sprint(i))
	}
	members(t, c.Node(0), 3, cluster.Up)
}

// A member with data that is started without a quorum is not ready, whatever it
// holds, and says for whom it waits; with one it is, and has everything that was
// acknowledged meanwhile before it answers anybody.
func TestRestartedAlone(t *testing.T) {
	var forming core.Forming
	c := coretest.StartCluster(t, 3, withTable, func(i int, c *core.Config) {
		if i == 0 {
			c.Peer.Forming = &forming
		}
	})
	members(t, c.Node(0), 3, cluster.Up)
	mustPut(t, c.Node(0), "k", "old")
	c.Kill(0)
	mustPut(t, c.Node(1), "k", "new")
	c.Kill(1)
	c.Kill(2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- c.Try(ctx, 0) }()
	coretest.Eventually(t, "it says for whom it waits", func() error {
		if w := forming.Waits(); !strings.Contains(w, c.Address(1)) || !strings.Contains(w, c.Address(2)) {
			return fmt.Errorf("it waits: %q", w)
		}
		return nil
	})
	if err := <-failed; !errors.Is(err, context.DeadlineExceeded) || !contains(err, c.Address(1)) {
		t.Fatalf("Start() without a quorum = %v, want it to wait for the others", err)
	}
	c.Start(0, 1)
	if r, err := c.Node(0).KV().Get(t.Context(), "t", []byte("k")); err != nil || string(r.Value) != "new" {
		t.Errorf("the first local read = %v, %v, want what was written meanwhile", r, err)
	}
	if w := forming.Waits(); w != "" {
		t.Errorf("Waits() of a node that is ready = %q", w)
	}
}

// ARC-R12, REL-12: a member whose disk was replaced comes back as a new one, once
// the old one has been silent for long enough; the others go on meanwhile.
func TestWipedDisk(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	before := members(t, c.Node(0), 3, cluster.Up)
	mustPut(t, c.Node(0), "k", "1")
	gone := c.Followers()[0]
	old, err := c.Node(gone).Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Kill(gone)
	c.Wipe(gone)
	mustPut(t, c.Node(c.Leader()), "k", "2")
	c.Start(gone)
	wantRow(t, c.Node(gone), "k", "2")
	after := members(t, c.Node(gone), 3, cluster.Up)
	for _, m := range after {
		if m.ID == old.ID || m.Slot == old.Slot {
			t.Errorf("member %+v, want neither id nor slot of the old one", m)
		}
	}
	if len(before) != len(after) {
		t.Errorf("members = %d, want %d", len(after), len(before))
	}
}

// ARC-R11: a group of one grows to three and shrinks back, without anybody
// editing files; its data goes with it.
func TestGrowAndShrink(t *testing.T) {
	dir := t.TempDir()
	alone := coretest.Start(t, func(c *core.Config) { c.DataDir = dir; withTable(0, c) })
	mustPut(t, alone, "k", "alone")
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	c := coretest.NewCluster(t, 1, withTable)
	c.Config(0).DataDir = dir
	c.Start(0)
	wantRow(t, c.Node(0), "k", "alone")
	for range 2 {
		c.Start(c.Grow())
	}
	for i := range 3 {
		members(t, c.Node(i), 3, cluster.Up)
		wantRow(t, c.Node(i), "k", "alone")
	}
	mustPut(t, c.Node(2), "k", "three")
	leader := c.Leader()
	for _, i := range c.Followers() {
		id, err := c.Node(i).Cluster().Self(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Node(leader).Admin().Remove(within(t), id.ID); err != nil {
			t.Fatalf("Remove() = %v", err)
		}
		coretest.Eventually(t, "it knows", func() error {
			if c.Node(i).Err() == nil {
				return errors.New("it goes on")
			}
			return nil
		})
		if !contains(c.Node(i).Err(), "was removed from the cluster") {
			t.Errorf("Err() = %v, want a clear one", c.Node(i).Err())
		}
		c.Stop(i)
	}
	members(t, c.Node(leader), 1, cluster.Up)
	wantRow(t, c.Node(leader), "k", "three")
	last := c.Config(leader).DataDir
	c.Stop(leader)
	again := coretest.Start(t, func(c *core.Config) { c.DataDir = last; withTable(0, c) })
	wantRow(t, again, "k", "three")
	mustPut(t, again, "k", "alone again")
}

// The data of one member of several does not start alone.
func TestStartAloneRefused(t *testing.T) {
	c := coretest.StartCluster(t, 2, withTable)
	members(t, c.Node(0), 2, cluster.Up)
	dir := c.Config(0).DataDir
	c.Stop(0)
	n, err := core.Start(t.Context(), core.Config{DataDir: dir, Durability: core.OS})
	if err == nil {
		_ = n.Close()
	}
	if err == nil || !contains(err, "one of 2 members of a cluster") {
		t.Errorf("Start() = %v, want a refusal", err)
	}
}

// REL-07, JEP-02: a leader that is cut off refuses writes and linearizable reads
// within three seconds and answers Fresh from what it has; the others go on, and
// nothing it refused appears later.
func TestPartition(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	members(t, c.Node(0), 3, cluster.Up)
	old := c.Leader()
	mustPut(t, c.Node(old), "k", "1")
	c.Isolate(old)
	begin := time.Now()
	err := put(within(t), c.Node(old), "k", "lost")
	if !errors.Is(err, kv.ErrUncertain) && !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("Commit() on the isolated leader = %v", err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("Commit() took %v, want less than 3s", d)
	}
	next := c.Leader(old)
	mustPut(t, c.Node(next), "k", "2")
	if v, err := c.Node(old).KV().View(within(t), kv.Linearizable); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("View(Linearizable) = %v, %v, want %v", v, err, kv.ErrNoLeader)
	}
	v, err := c.Node(old).KV().View(within(t), kv.Fresh)
	if err != nil || v.Consistency() != kv.Local {
		t.Errorf("View(Fresh) = %v, %v, want the local state", v, err)
	}
	if err := c.Node(old).Ready(t.Context()); err == nil {
		t.Error("the isolated node is ready")
	}
	coretest.Eventually(t, "the others see it", func() error {
		ms, err := c.Node(next).Cluster().Members(t.Context())
		for _, m := range ms {
			if m.State == cluster.Down {
				return nil
			}
		}
		return fmt.Errorf("all are well: %w", err)
	})
	c.Join(old)
	for i := range 3 {
		coretest.Eventually(t, "it is ready again", func() error { return c.Node(i).Ready(t.Context()) })
		wantRow(t, c.Node(i), "k", "2")
	}
}

// REL-11: a member that was away for long gets a snapshot, and a new one while
// much is written.
func TestFarBehind(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable, func(_ int, c *core.Config) { c.LogBytes = 1 })
	late := c.Followers()[0]
	c.Kill(late)
	lead := c.Node(c.Leader())
	cut := func() bool {
		s, err := lead.Cluster().State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Persisted == s.Applied
	}
	for i := range 50 {
		mustPut(t, lead, fmt.Sprint("k", i), string(make([]byte, 64<<10)))
	}
	coretest.Eventually(t, "state.db holds all", func() error {
		if !cut() {
			return errors.New("it does not")
		}
		return nil
	})
	for i := range 50 { // some ticks, so that the log is cut
		mustPut(t, lead, fmt.Sprint("l", i), "v")
	}
	c.Start(late)
	wantRow(t, c.Node(late), "l49", "v")
	wantRow(t, c.Node(late), "k49", string(make([]byte, 64<<10)))
	members(t, c.Node(late), 3, cluster.Up)
	if n := c.Metric(t, late, "batata_cluster_snapshots_installed_total"); n == 0 {
		t.Error("no snapshot was installed")
	}
}

// Leadership goes where it is asked to, from any member, and on a stop.
func TestTransfer(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	members(t, c.Node(0), 3, cluster.Up)
	for range 3 {
		to := c.Followers()[1]
		id, err := c.Node(to).Cluster().Self(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked := c.Node(c.Followers()[0])
		coretest.Eventually(t, "it leads", func() error { // an election may come between on a busy machine
			if c.Node(to).Leads() {
				return nil
			}
			return errors.Join(asked.Admin().Transfer(within(t), id.ID), errors.New("it does not lead"))
		})
	}
	begin := time.Now()
	c.Stop(c.Leader())
	mustPut(t, c.Node(c.Leader()), "k", "v")
	t.Logf("the next leader took a write %v after the stop began", time.Since(begin))
	if err := c.Node(c.Leader()).Admin().Transfer(within(t), 12345); err == nil {
		t.Error("Transfer() to nobody = nil error")
	}
}

// A removal that would cost the quorum is refused, with what to do about it; so
// is that of nobody.
func TestRemoveRefused(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	ms := members(t, c.Node(0), 3, cluster.Up)
	lead := c.Leader()
	away := c.Followers()[0]
	self, err := c.Node(away).Cluster().Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Kill(away)
	coretest.Eventually(t, "it is down", func() error {
		now, err := c.Node(lead).Cluster().Members(t.Context())
		for _, m := range now {
			if m.ID == self.ID && m.State == cluster.Down {
				return nil
			}
		}
		return fmt.Errorf("it is not: %w", err)
	})
	for _, m := range ms {
		leader, err := c.Node(lead).Cluster().State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.ID == self.ID || m.ID == leader.Leader {
			continue
		}
		if err := c.Node(lead).Admin().Remove(within(t), m.ID); err == nil || !contains(err, "bring others back first") {
			t.Errorf("Remove() of one of two live members of three = %v, want a refusal", err)
		}
	}
	if err := c.Node(lead).Admin().Remove(within(t), 4711); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Remove() of nobody = %v, want %v", err, kv.ErrNotFound)
	}
	if err := c.Node(lead).Admin().Remove(within(t), self.ID); err != nil {
		t.Errorf("Remove() of the one that is away = %v", err)
	}
	members(t, c.Node(lead), 2, cluster.Up)
}

// The leader is removed like any other: it lets another lead first.
func TestLeave(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	members(t, c.Node(0), 3, cluster.Up)
	lead := c.Leader()
	if err := c.Node(lead).Admin().Leave(within(t)); err != nil {
		t.Fatalf("Leave() = %v", err)
	}
	next := c.Leader(lead)
	members(t, c.Node(next), 2, cluster.Up)
	mustPut(t, c.Node(next), "k", "v")
}

// A member that waits for a group is called into this one.
func TestAdd(t *testing.T) {
	c := coretest.StartCluster(t, 1, withTable)
	i := c.Grow()
	c.Config(i).Peer.Members = []string{c.Address(i), "127.0.0.1:1"} // it knows nobody, and may not form a group
	started := make(chan error, 1)
	go func() { started <- c.Try(within(t), i) }()
	coretest.Eventually(t, "it joins", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		select {
		case err := <-started:
			t.Fatalf("Start() = %v", err)
		default:
		}
		return c.Node(0).Admin().Add(ctx, c.Address(i))
	})
	if err := <-started; err != nil {
		t.Fatalf("Start() = %v", err)
	}
	members(t, c.Node(i), 2, cluster.Up)
	if err := c.Node(i).Admin().Add(within(t), c.Address(0)); err != nil {
		t.Errorf("Add() of a member = %v, want nothing to do", err)
	}
	other := coretest.StartCluster(t, 1)
	if err := c.Node(i).Admin().Add(within(t), other.Address(0)); err == nil || !contains(err, "it is of cluster") {
		t.Errorf("Add() of a member of another cluster = %v, want a refusal", err)
	}
}
