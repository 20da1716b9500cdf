package group

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/formation"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/kv"
)

const (
	// nearEnough is how many entries a learner may lack when it gets its vote
	// (ARC-R05).
	nearEnough = 1_000
	// stepTimeout bounds one step; the next round tries again.
	stepTimeout = 5 * time.Second
)

// work does the next steps that are due.
func (g *Group) work(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if applied, _ := g.o.Store.Applied(); applied > 0 {
		if err := g.o.Identity.Hold(); err != nil {
			g.logger.Error("identity not written", zap.Error(err))
		}
	}
	n := g.raft.Load()
	if n.Err() != nil {
		return
	}
	err := g.announce(ctx, n)
	if err == nil && n.Status().Leads {
		err = g.reconcile(ctx, n)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrNoLeader) {
		g.logger.Debug("step put off", zap.Error(err))
	}
}

// announce makes the roster hold what this member tells about itself.
func (g *Group) announce(ctx context.Context, n *raftnode.Node) error {
	p := *g.profile.Load()
	p.Address = g.Address()
	self := g.o.Identity.Member()
	if e := g.roster.View().Find(self); e != nil && (e.Standing != roster.Present || e.Equal(&p)) {
		return nil
	}
	if n.Status().Leads {
		_, err := g.roster.Put(ctx, *g.store.Load(), self, p)
		return err
	}
	var last error
	for _, address := range g.others() {
		if last = (asker{g}).Join(ctx, address); last == nil {
			return nil
		}
		if _, ok := errors.AsType[*formation.RefusedError](last); ok {
			g.logger.Error("the cluster refuses this member", zap.Error(last))
			g.removed()
			return last
		}
	}
	return last
}

// others are addresses at which members may be, those of the roster first.
func (g *Group) others() []string {
	var out []string
	for id, a := range g.roster.View().Addresses() {
		if id != g.o.Identity.Member() {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	for _, a := range g.List() {
		if a != g.Address() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// giveWayEvery is how often one leader gives way: the others' disks may be as full.
const giveWayEvery = 30 * time.Second

// giveWay lets another member lead while the disk of this one is full: a leader
// without room refuses the writes of all (REL-04).
func (g *Group) giveWay(ctx context.Context, n *raftnode.Node) error {
	g.gaveWay = time.Now()
	g.logger.Warn("disk full: another member is to lead")
	return n.Transfer(ctx, 0)
}

// reconcile is the leader's work: one change of members at a time.
func (g *Group) reconcile(ctx context.Context, n *raftnode.Node) error {
	if n.Status().ReadOnly && len(n.Members().GetVoters()) > 1 && time.Since(g.gaveWay) > giveWayEvery {
		return g.giveWay(ctx, n)
	}
	for _, e := range g.roster.View().List() {
		if e.Standing == roster.Leaving {
			return g.takeOut(ctx, n, e)
		}
	}
	if len(n.Members().GetLearners()) == 0 {
		return nil
	}
	return g.promote(ctx, n)
}

// promote gives the first learner that is near enough its vote.
func (g *Group) promote(ctx context.Context, n *raftnode.Node) error {
	progress, last, err := n.Progress(ctx)
	if err != nil {
		return err
	}
	for _, p := range progress {
		if e := g.roster.View().Find(p.ID); !p.Learner || e == nil || e.Standing != roster.Present {
			continue
		}
		if p.Match == 0 || p.Snapshot || p.Match+nearEnough < last {
			continue
		}
		g.logger.Info("learner gets its vote", zap.String("member", fmt.Sprintf("%016x", p.ID)), zap.Uint64("match", p.Match), zap.Uint64("last", last))
		return n.ChangeMembers(ctx, raftnode.Change{Kind: raftnode.AddVoter, ID: p.ID})
	}
	return nil
}

// takeOut removes a member. This one lets another lead first.
func (g *Group) takeOut(ctx context.Context, n *raftnode.Node, e *roster.Entry) error {
	if e.ID == g.o.Identity.Member() {
		return n.Transfer(ctx, 0)
	}
	if has(n.Members(), e.ID) {
		if err := g.mayLose(e.ID); err != nil {
			return err
		}
		if err := n.ChangeMembers(ctx, raftnode.Change{Kind: raftnode.Remove, ID: e.ID}); err != nil {
			return err
		}
	}
	g.logger.Info("member removed", zap.String("member", fmt.Sprintf("%016x", e.ID)), zap.String("address", e.Address))
	return g.roster.Move(ctx, *g.store.Load(), e.ID, roster.Removed)
}

// has says whether a member is in the group, with or without a vote.
func has(c *raftpb.ConfState, id uint64) bool {
	return slices.Contains(c.GetVoters(), id) || slices.Contains(c.GetLearners(), id) ||
		slices.Contains(c.GetVotersOutgoing(), id) || slices.Contains(c.GetLearnersNext(), id)
}

// QuorumError reports a removal that would leave the group without a quorum.
type QuorumError struct {
	Without uint64
	Live    int
	Needed  int
}

// Error implements error.
func (e *QuorumError) Error() string {
	return fmt.Sprintf("without member %016x %d voters can be reached and %d are needed: bring others back first",
		e.Without, e.Live, e.Needed)
}

// mayLose says whether the voters that can be reached are a quorum without a
// member, now and after it is gone.
func (g *Group) mayLose(id uint64) error {
	voters := g.raft.Load().Members().GetVoters()
	if !slices.Contains(voters, id) {
		return nil
	}
	live := 0
	for _, v := range voters {
		if v != id && (v == g.o.Identity.Member() || g.reachable(v)) {
			live++
		}
	}
	rest := len(voters) - 1
	if rest == 0 {
		return errors.New("it is the only voter")
	}
	// Two voters commit the removal of one of them together.
	needed := max(rest/2+1, len(voters)/2+1)
	if g.reachable(id) {
		needed = rest/2 + 1
	}
	if live < needed {
		return &QuorumError{Without: id, Live: live, Needed: needed}
	}
	return nil
}

func (g *Group) reachable(id uint64) bool {
	for _, h := range g.pool.Health() {
		if h.ID == id {
			return h.State == peer.Up || h.State == peer.Leaving
		}
	}
	return false
}
