package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/formation"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/roster"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// door answers who is not a member yet.
type door struct{ *Group }

var _ peer.Door = door{}

// Describe implements peer.Door.
func (d door) Describe(_ context.Context, r *peerv1.DescribeRequest) (*peerv1.DescribeReply, error) {
	id := d.o.Identity.Identity()
	out := &peerv1.DescribeReply{Member: id.ID, Cluster: id.Cluster, Address: d.Address(), Version: d.profile.Load().Version}
	if id.Cluster == 0 {
		if len(r.GetInvite()) > 0 {
			d.search.Invite(r.GetInvite())
		}
		out.List = d.search.All()
	}
	return out, nil
}

// Join implements peer.Door.
func (d door) Join(ctx context.Context, r *peerv1.JoinRequest) (*peerv1.JoinReply, error) {
	n, st := d.raft.Load(), d.store.Load()
	wait := func(format string, args ...any) (*peerv1.JoinReply, error) {
		return &peerv1.JoinReply{Result: peerv1.JoinReply_RESULT_WAIT, Reason: fmt.Sprintf(format, args...)}, nil
	}
	if n == nil || st == nil {
		return wait("the member is starting")
	}
	switch s := n.Status(); {
	case s.Leads:
	case s.Leader == 0:
		return wait("the cluster has no leader")
	default:
		e := d.roster.View().Find(s.Leader)
		if e == nil || s.Leader == d.o.Identity.Member() {
			return wait("the leader is not known yet")
		}
		return &peerv1.JoinReply{Result: peerv1.JoinReply_RESULT_ASK, Leader: e.Address}, nil
	}
	select {
	case d.joins <- struct{}{}:
		defer func() { <-d.joins }()
	default:
		return wait("another member is joining")
	}
	err := d.admit(ctx, n, r.GetMember(), profileOf(r.GetProfile()))
	switch {
	case errors.Is(err, roster.ErrRemoved):
		return &peerv1.JoinReply{Result: peerv1.JoinReply_RESULT_REFUSED, Reason: err.Error()}, nil
	case err != nil:
		return wait("%v", err)
	}
	out := &peerv1.JoinReply{Result: peerv1.JoinReply_RESULT_MEMBER, Cluster: d.o.Identity.Cluster()}
	for _, e := range d.roster.View().List() {
		out.Members = append(out.Members, &peerv1.Member{Id: e.ID, Address: e.Address})
	}
	return out, nil
}

// admit makes a member of who asks, or changes what is known of it. It runs on
// the leader.
func (g *Group) admit(ctx context.Context, n *raftnode.Node, id uint64, p roster.Profile) error {
	if p.Address == "" {
		return errors.New("the member has no address")
	}
	if err := g.makeRoom(ctx, id, p.Address); err != nil {
		return err
	}
	if _, err := g.roster.Put(ctx, *g.store.Load(), id, p); err != nil {
		return err
	}
	if has(n.Members(), id) {
		return nil
	}
	g.logger.Info("member joins", zap.String("member", fmt.Sprintf("%016x", id)), zap.String("address", p.Address))
	return n.ChangeMembers(ctx, raftnode.Change{Kind: raftnode.AddLearner, ID: id})
}

// makeRoom takes out the member whose address another one brings: its disk was
// replaced. It must have been unreachable for long, and the others must be a
// quorum without it.
func (g *Group) makeRoom(ctx context.Context, id uint64, address string) error {
	old := g.roster.View().At(address)
	if old == nil || old.ID == id {
		return nil
	}
	if old.ID == g.o.Identity.Member() {
		return fmt.Errorf("%s is the address of the leader", address)
	}
	if old.Standing != roster.Leaving {
		silent := g.silence(old.ID)
		if silent < g.o.ReplaceAfter {
			return fmt.Errorf("%s is the address of member %016x, last heard %s ago; it is replaced once it has been silent for %s",
				address, old.ID, silent.Round(time.Second), g.o.ReplaceAfter)
		}
		if err := g.mayLose(old.ID); err != nil {
			return err
		}
		g.logger.Warn("member is replaced", zap.String("member", fmt.Sprintf("%016x", old.ID)),
			zap.String("by", fmt.Sprintf("%016x", id)), zap.String("address", address))
		if err := g.roster.Move(ctx, *g.store.Load(), old.ID, roster.Leaving); err != nil {
			return err
		}
		g.wake()
	}
	return fmt.Errorf("member %016x, whose address it has, is being removed", old.ID)
}

// silence is how long a member has not been heard of.
func (g *Group) silence(id uint64) time.Duration {
	for _, h := range g.pool.Health() {
		if h.ID == id {
			return time.Since(h.Heard)
		}
	}
	return time.Since(g.created)
}

func profileOf(p *peerv1.Profile) roster.Profile {
	return roster.Profile{
		Address: p.GetAddress(), Name: p.GetName(), Addresses: p.GetAddresses(), Meta: p.GetMeta(),
		Features: p.GetFeatures(), Version: p.GetVersion(),
	}
}

// asker asks other members at start.
type asker struct{ *Group }

var _ formation.Asker = asker{}

// Describe implements formation.Asker.
func (a asker) Describe(ctx context.Context, address string, list []string) (formation.Answer, error) {
	r, err := a.pool.Describe(ctx, address, &peerv1.DescribeRequest{List: list})
	if err != nil {
		return formation.Answer{}, err
	}
	return formation.Answer{Member: r.GetMember(), Cluster: r.GetCluster(), List: r.GetList()}, nil
}

const (
	// maxHops is how many members one asks for the leader.
	maxHops     = 4
	joinTimeout = 10 * time.Second
)

// Join implements formation.Asker: it notes the cluster and the addresses of its
// members once this one is in.
func (a asker) Join(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	p := *a.profile.Load()
	profile := &peerv1.Profile{
		Address: a.Address(), Name: p.Name, Addresses: p.Addresses, Meta: p.Meta, Features: p.Features, Version: p.Version,
	}
	for range maxHops {
		r, err := a.pool.Join(ctx, address, profile)
		if err != nil {
			return err
		}
		switch r.GetResult() {
		case peerv1.JoinReply_RESULT_MEMBER:
			return a.joined(r)
		case peerv1.JoinReply_RESULT_ASK:
			address = r.GetLeader()
		case peerv1.JoinReply_RESULT_REFUSED:
			return &formation.RefusedError{Reason: r.GetReason()}
		default:
			return errors.New(r.GetReason())
		}
	}
	return errors.New("the members do not agree on who leads")
}

func (a asker) joined(r *peerv1.JoinReply) error {
	own := a.o.Identity.Cluster()
	if own != 0 && own != r.GetCluster() {
		return &formation.RefusedError{Reason: (&peer.ForeignError{Found: r.GetCluster(), Own: own}).Error()}
	}
	seeds := make(map[uint64]string, len(r.GetMembers()))
	for _, m := range r.GetMembers() {
		seeds[m.GetId()] = m.GetAddress()
	}
	a.seeds.Store(&seeds)
	if own == 0 {
		if err := a.o.Identity.Join(r.GetCluster()); err != nil {
			return err
		}
	}
	a.rosterChanged()
	return nil
}
