package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/internal/group"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/kv"
)

// clusterView is the cluster as one owner sees it, and calls its own kind in.
type clusterView struct {
	node    *Node
	service string
}

var (
	_ cluster.Cluster = clusterView{}
	_ cluster.Admin   = clusterAdmin{}
)

// Self implements cluster.Cluster.
func (v clusterView) Self(ctx context.Context) (*cluster.Member, error) {
	id := v.node.identity.Member()
	ms, err := v.Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range ms {
		if m.ID == id {
			return m, nil
		}
	}
	return v.alone(), nil // its row is not written yet
}

// alone is this member without a roster.
func (v clusterView) alone() *cluster.Member {
	id, p := v.node.identity.Member(), v.node.profile.Load()
	return &cluster.Member{
		ID: id, Slot: 1, Name: nameOf(p.Name, id), Addrs: p.Addresses, State: cluster.Up, Voter: true, Breaker: peer.Closed.String(),
		Meta: p.Meta, Features: p.Features, Version: p.Version,
	}
}

func nameOf(name string, id uint64) string {
	if name != "" {
		return name
	}
	return fmt.Sprintf("%016x", id)
}

// Members implements cluster.Cluster.
func (v clusterView) Members(context.Context) ([]*cluster.Member, error) {
	if v.node.group == nil {
		return []*cluster.Member{v.alone()}, nil
	}
	infos := v.node.group.Members()
	out := make([]*cluster.Member, len(infos))
	for i := range infos {
		out[i] = memberOf(&infos[i])
	}
	return out, nil
}

func memberOf(m *group.Info) *cluster.Member {
	addrs := map[string]string{"peer": m.Address}
	maps.Copy(addrs, m.Addresses)
	out := &cluster.Member{
		ID: m.ID, Slot: m.Slot, Name: nameOf(m.Name, m.ID), Addrs: addrs, State: cluster.Up, Voter: m.Voter,
		Breaker: m.Health.Breaker.String(), Fails: m.Health.Fails, Heard: m.Health.Contact,
		Meta: m.Meta, Features: m.Features, Version: m.Version,
	}
	switch {
	case m.Standing == roster.Leaving || m.Health.State == peer.Leaving:
		out.State = cluster.Leaving
	case m.Self:
	case m.Health.State == peer.Suspect || m.Health.State == 0:
		out.State = cluster.Suspect
	case m.Health.State == peer.Down:
		out.State = cluster.Down
	}
	return out
}

// State implements cluster.Cluster.
func (v clusterView) State(context.Context) (cluster.State, error) {
	n := v.node
	s := n.raft.Status()
	id := n.identity.Identity()
	applied, _ := n.store.Applied()
	out := cluster.State{
		Cluster: id.Cluster, Leader: s.Leader, Term: s.Term, Commit: s.Commit,
		Applied: applied, Persisted: n.store.Persisted(), Revision: uint64(n.store.Root().Revision()),
		Ready: s.Ready, Leads: s.Leads, ReadOnly: s.ReadOnly, Starts: id.Starts,
	}
	if !s.Heard.IsZero() && !s.Leads {
		out.LastContact = time.Since(s.Heard)
	}
	return out, nil
}

// Watch implements cluster.Cluster.
func (v clusterView) Watch(context.Context) (cluster.Stream, error) {
	return &memberStream{view: v, closed: make(chan struct{})}, nil
}

// memberStream delivers the newest members whenever something has changed.
type memberStream struct {
	view    clusterView
	changed <-chan struct{} // since what was delivered last; nil: nothing was
	once    sync.Once
	closed  chan struct{}
}

// Next implements cluster.Stream.
func (s *memberStream) Next(ctx context.Context) ([]*cluster.Member, error) {
	if s.changed != nil {
		select {
		case <-s.changed:
		case <-s.closed:
			return nil, kv.ErrClosed
		case <-s.view.node.Done():
			return nil, kv.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.changed = make(chan struct{}) // alone: never
	if g := s.view.node.group; g != nil {
		s.changed = g.Changed()
	}
	return s.view.Members(ctx)
}

// Close implements cluster.Stream.
func (s *memberStream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Call implements cluster.Cluster.
func (v clusterView) Call(ctx context.Context, to cluster.Target, method string, body []byte) ([]byte, error) {
	n := v.node
	if n.group != nil {
		return n.group.Call(ctx, to.Member, v.service, method, body)
	}
	if to.Member != n.identity.Member() {
		return nil, fmt.Errorf("call %s: member %016x: %w", method, to.Member, kv.ErrNotFound)
	}
	return n.calls.Local(ctx, to.Member, v.service, method, body)
}

// Gather implements cluster.Cluster.
func (v clusterView) Gather(ctx context.Context, method string, body []byte) ([]cluster.Answer, error) {
	ms, err := v.Members(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]cluster.Answer, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() {
			b, err := v.Call(ctx, cluster.Target{Member: m.ID}, method, body)
			if len(b) > maxGathered {
				b, err = nil, fmt.Errorf("answer of %d bytes: %w", len(b), kv.ErrTooLarge)
			}
			answers[i] = cluster.Answer{Member: m.ID, Body: b, Err: err}
		})
	}
	wg.Wait()
	return slices.Clip(answers), nil
}

// maxGathered is the most bytes of one answer to Gather (CTR-B10).
const maxGathered = 4 << 20

// clusterAdmin changes the cluster.
type clusterAdmin struct{ node *Node }

// Admin changes the cluster.
func (n *Node) Admin() cluster.Admin { return clusterAdmin{n} }

// errAlone reports a change of a cluster that there is not.
var errAlone = fmt.Errorf("this node is no member of a cluster: %w", kv.ErrNotFound)

// Transfer implements cluster.Admin.
func (a clusterAdmin) Transfer(ctx context.Context, to uint64) error {
	if a.node.group == nil {
		return errAlone
	}
	return a.node.group.Transfer(ctx, to)
}

// Add implements cluster.Admin.
func (a clusterAdmin) Add(ctx context.Context, address string) error {
	if a.node.group == nil {
		return errAlone
	}
	return a.node.group.Add(ctx, address)
}

// Remove implements cluster.Admin.
func (a clusterAdmin) Remove(ctx context.Context, id uint64) error {
	if a.node.group == nil {
		return errAlone
	}
	return a.node.group.Remove(ctx, id)
}

// Leave implements cluster.Admin.
func (a clusterAdmin) Leave(ctx context.Context) error {
	return a.Remove(ctx, a.node.identity.Member())
}
