package group

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/kv"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// The service of core itself, and its methods.
const (
	Service        = "core"
	methodRemove   = "remove"
	methodTransfer = "transfer"
)

// Info is one member as this one sees it.
type Info struct {
	*roster.Entry
	Self   bool
	Voter  bool
	Leader bool
	Health peer.Health // of others
}

// Members returns everybody in the roster, by id.
func (g *Group) Members() []Info {
	health := map[uint64]peer.Health{}
	for _, h := range g.pool.Health() {
		health[h.ID] = h
	}
	var voters []uint64
	var leader uint64
	if n := g.raft.Load(); n != nil {
		voters, leader = n.Members().GetVoters(), n.Status().Leader
	}
	list := g.roster.View().List()
	out := make([]Info, len(list))
	for i, e := range list {
		out[i] = Info{
			Entry: e, Self: e.ID == g.o.Identity.Member(), Voter: slices.Contains(voters, e.ID),
			Leader: e.ID == leader, Health: health[e.ID],
		}
	}
	return out
}

// Changed is closed when something about the members has changed since the call.
func (g *Group) Changed() <-chan struct{} { return g.changed.wait() }

// serve registers what other members ask of core.
func (g *Group) serve() {
	g.o.Calls.Handle(Service, methodRemove, func(ctx context.Context, _ uint64, body []byte) ([]byte, error) {
		id, err := idOf(body)
		if err != nil {
			return nil, err
		}
		return nil, g.remove(ctx, id)
	})
	g.o.Calls.Handle(Service, methodTransfer, func(ctx context.Context, _ uint64, body []byte) ([]byte, error) {
		id, err := idOf(body)
		if err != nil {
			return nil, err
		}
		return nil, g.raft.Load().Transfer(ctx, id)
	})
}

func idOf(body []byte) (uint64, error) {
	if len(body) != 8 {
		return 0, errors.New("want an id of eight bytes")
	}
	return binary.BigEndian.Uint64(body), nil
}

// OnLeader calls a method of core on the member that leads.
func (g *Group) OnLeader(ctx context.Context, method string, body []byte) ([]byte, error) {
	leader := g.raft.Load().Status().Leader
	if leader == 0 {
		return nil, kv.ErrNoLeader
	}
	return g.Call(ctx, leader, Service, method, body)
}

// Transfer makes a voter lead, 0 meaning the one that has come furthest.
func (g *Group) Transfer(ctx context.Context, to uint64) error {
	if to != 0 && g.raft.Load().Status().Leader == to {
		return nil
	}
	_, err := g.OnLeader(ctx, methodTransfer, binary.BigEndian.AppendUint64(nil, to))
	return err
}

// Remove takes a member out and returns when it is gone, or with the reason why
// it stays.
func (g *Group) Remove(ctx context.Context, id uint64) error {
	if _, err := g.OnLeader(ctx, methodRemove, binary.BigEndian.AppendUint64(nil, id)); err != nil {
		return err
	}
	n := g.raft.Load()
	for {
		changed := g.changed.wait()
		if e := g.roster.View().Find(id); e == nil || e.Standing == roster.Removed {
			return nil
		}
		select {
		case <-changed:
		case <-n.Done():
			if id == g.o.Identity.Member() && errors.Is(n.Err(), ErrRemoved) {
				return nil
			}
			return n.Err()
		case <-ctx.Done():
			return fmt.Errorf("remove member %016x: it is on its way out: %w", id, ctx.Err())
		}
	}
}

// remove notes on the leader that a member is to go.
func (g *Group) remove(ctx context.Context, id uint64) error {
	if !g.raft.Load().Status().Leads || g.store.Load() == nil {
		return kv.ErrNoLeader
	}
	if e := g.roster.View().Find(id); e == nil || e.Standing == roster.Removed {
		return fmt.Errorf("member %016x: %w", id, kv.ErrNotFound)
	}
	if err := g.mayLose(id); err != nil {
		return err
	}
	g.logger.Info("member is to be removed", zap.String("member", fmt.Sprintf("%016x", id)))
	if err := g.roster.Move(ctx, *g.store.Load(), id, roster.Leaving); err != nil {
		return err
	}
	g.wake()
	return nil
}

// Add asks the member at an address, which waits for a group, to join this one,
// and returns when it has.
func (g *Group) Add(ctx context.Context, address string) error {
	tick := time.NewTicker(g.o.Every)
	defer tick.Stop()
	for {
		changed := g.changed.wait()
		if e := g.roster.View().At(address); e != nil && has(g.raft.Load().Members(), e.ID) {
			return nil
		}
		invite := []string{g.Address()}
		for id, a := range g.roster.View().Addresses() {
			if id != g.o.Identity.Member() {
				invite = append(invite, a)
			}
		}
		r, err := g.pool.Describe(ctx, address, &peerv1.DescribeRequest{Invite: invite})
		switch own := g.o.Identity.Cluster(); {
		case err != nil:
			return fmt.Errorf("add member: %w", err)
		case r.GetCluster() == own:
			if e := g.roster.View().Find(r.GetMember()); e != nil && has(g.raft.Load().Members(), e.ID) {
				return nil // it goes by another address
			}
		case r.GetCluster() != 0:
			return fmt.Errorf("add member: %s: %w", address, &peer.ForeignError{Found: r.GetCluster(), Own: own})
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("add member: %s has been asked to join: %w", address, ctx.Err())
		}
	}
}

// heirs says whether one of the other voters is there to stay.
func (g *Group) heirs(voters []uint64) bool {
	for _, h := range g.pool.Health() {
		if h.State == peer.Up && slices.Contains(voters, h.ID) {
			return true
		}
	}
	return false
}

// StepDown lets another member lead before this one stops, if it leads.
func (g *Group) StepDown(ctx context.Context) error {
	g.pool.Leaving()
	n := g.raft.Load()
	if n == nil || !n.Status().Leads || !g.heirs(n.Members().GetVoters()) {
		return nil
	}
	if err := n.Transfer(ctx, 0); err != nil && !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	return nil
}
