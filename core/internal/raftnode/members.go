package raftnode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/kv"
)

// ErrPending reports a change of members while another is under way.
var ErrPending = errors.New("another change of members is under way")

// Change is one step of a change of members.
type Change struct {
	Kind ChangeKind
	ID   uint64
}

// ChangeKind says what becomes of a member.
type ChangeKind uint8

const (
	// AddLearner adds a member that gets the log and has no vote.
	AddLearner ChangeKind = iota + 1
	// AddVoter adds a member, or gives a learner its vote.
	AddVoter
	// Remove takes a member out of the group. Its id never comes back.
	Remove
)

// ChangeMembers changes the group, several steps at once and as one: none of
// them takes effect before all do. It returns when this member has applied the
// change. It works on the leader only, kv.ErrNoLeader elsewhere.
func (n *Node) ChangeMembers(ctx context.Context, changes ...Change) error {
	id := n.nextID.Add(1)
	w := newWaiter()
	n.waiters.add(id, w)
	if err := n.run2(ctx, func() error { return n.proposeChange(id, w, changes) }); err != nil {
		n.waiters.drop(id)
		return fmt.Errorf("change members: %w", err)
	}
	select {
	case a := <-w.answer:
		if a.err != nil {
			if errors.Is(a.err, errLost) {
				a.err = fmt.Errorf("%w: %w", kv.ErrNoLeader, a.err)
			}
			return fmt.Errorf("change members: %w", a.err)
		}
		return nil
	case <-ctx.Done():
		n.waiters.drop(id)
		return fmt.Errorf("change members: %w: %w", kv.ErrUncertain, ctx.Err())
	case <-n.done:
		return fmt.Errorf("change members: %w: %w", kv.ErrUncertain, n.Err())
	case <-n.stop:
		return fmt.Errorf("change members: %w: %w", kv.ErrUncertain, kv.ErrClosed)
	}
}

func (n *Node) proposeChange(id uint64, w *waiter, changes []Change) error {
	switch conf := n.conf.Load(); {
	case !n.leading() || n.transfers:
		return kv.ErrNoLeader
	case n.confPending != 0 || len(conf.GetVotersOutgoing()) > 0:
		return ErrPending
	}
	cc := &raftpb.ConfChangeV2{Context: binary.BigEndian.AppendUint64(nil, id)}
	for _, c := range changes {
		var kind raftpb.ConfChangeType
		switch c.Kind {
		case AddLearner:
			kind = raftpb.ConfChangeAddLearnerNode
		case AddVoter:
			kind = raftpb.ConfChangeAddNode
		case Remove:
			kind = raftpb.ConfChangeRemoveNode
		default:
			return fmt.Errorf("change of kind %d", c.Kind)
		}
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: &c.ID})
	}
	if err := n.raft.ProposeConfChange(cc); err != nil {
		return kv.ErrNoLeader
	}
	w.term.Store(n.term.Load())
	n.confPending = id
	return nil
}

// changed makes raft follow a committed change of members, and notes for the
// applier what it came to.
func (n *Node) changed(e *raftpb.Entry, b *batch) error {
	cc := new(raftpb.ConfChangeV2)
	switch e.GetType() {
	case raftpb.EntryConfChange:
		c := new(raftpb.ConfChange)
		if err := proto.Unmarshal(e.GetData(), c); err != nil {
			return fmt.Errorf("decode change of members: %w", err)
		}
		cc = c.AsV2()
	case raftpb.EntryConfChangeV2:
		if err := proto.Unmarshal(e.GetData(), cc); err != nil {
			return fmt.Errorf("decode change of members: %w", err)
		}
	case raftpb.EntryNormal:
	}
	// gofail: var raftnodeBeforeConfChange struct{}
	b.confEntry, b.conf = e, n.raft.ApplyConfChange(cc)
	if c := cc.GetContext(); len(c) == 8 {
		b.confID = binary.BigEndian.Uint64(c)
	}
	n.confPending = 0
	n.setConf(b.conf, e.GetIndex())
	n.lease.Store(nil)
	n.logger.Info("members changed", zap.String("conf", raft.DescribeConfState(b.conf)), zap.Uint64("index", e.GetIndex()))
	return nil
}

func (n *Node) setConf(c *raftpb.ConfState, index uint64) {
	n.conf.Store(c)
	n.confAt.Store(index)
	n.alone.Store(len(c.GetVoters()) == 1 && c.GetVoters()[0] == n.id &&
		len(c.GetVotersOutgoing()) == 0 && len(c.GetLearners()) == 0)
}

// Members is the group as this member knows it. It must not be changed.
func (n *Node) Members() *raftpb.ConfState { return n.conf.Load() }

// Progress is how far a member has come, as the leader knows it.
type Progress struct {
	ID      uint64
	Learner bool
	Active  bool // heard within the last election timeout
	Match   uint64
	// Snapshot says that it needs more than the log holds.
	Snapshot bool
}

// Progress tells how far the members have come, this one included, and the last
// index of the log. kv.ErrNoLeader where this member does not lead.
func (n *Node) Progress(ctx context.Context) (members []Progress, last uint64, err error) {
	err = n.run2(ctx, func() error {
		if !n.leads {
			return kv.ErrNoLeader
		}
		members = n.progress()
		last, err = n.log.LastIndex()
		return err
	})
	return members, last, err
}

// progress is the loop's.
func (n *Node) progress() (out []Progress) {
	n.raft.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		out = append(out, Progress{
			ID: id, Learner: kind == raft.ProgressTypeLearner, Active: p.RecentActive || id == n.id,
			Match: p.Match, Snapshot: p.State == tracker.StateSnapshot,
		})
	})
	return out
}

// Transfer makes another voter lead, 0 meaning the one that has come furthest.
// It returns when this member follows; kv.ErrNoLeader when it did not lead, or
// when nobody took over within an election timeout.
func (n *Node) Transfer(ctx context.Context, to uint64) error {
	term := uint64(0)
	err := n.run2(ctx, func() error {
		if !n.leads {
			return kv.ErrNoLeader
		}
		if to == 0 {
			to = n.successor()
		}
		if !slices.Contains(n.conf.Load().GetVoters(), to) || to == n.id {
			return fmt.Errorf("member %s is no other voter: %w", name(to), kv.ErrNotFound)
		}
		// Whoever is told to campaign is voted for at once, whatever anybody
		// has heard of this leader.
		n.lease.Store(nil)
		n.transfers = true
		term = n.term.Load()
		n.raft.TransferLeader(to)
		return nil
	})
	if err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	limit := time.NewTimer(2 * electionTicks * n.tick)
	defer limit.Stop()
	for {
		changed := n.pressure.applied.wait()
		if l := n.leader.Load(); l != 0 && l != n.id && n.term.Load() > term {
			return nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("transfer leadership: member %s did not take over: %w", name(to), kv.ErrNoLeader)
		case <-ctx.Done():
			return fmt.Errorf("transfer leadership: %w", ctx.Err())
		case <-n.done:
			return fmt.Errorf("transfer leadership: %w", n.Err())
		case <-n.stop:
			return kv.ErrClosed
		}
	}
}

// successor is the voter that has come furthest and was heard of late.
func (n *Node) successor() (id uint64) {
	var match uint64
	for _, p := range n.progress() {
		if p.ID != n.id && p.Active && !p.Learner && !p.Snapshot && p.Match >= match {
			id, match = p.ID, p.Match
		}
	}
	return id
}

// run2 runs do in the loop and returns what it came to.
func (n *Node) run2(ctx context.Context, do func() error) error {
	answer := make(chan error, 1)
	select {
	case n.control <- func() { answer <- do() }:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return n.Err()
	case <-n.stop:
		return kv.ErrClosed
	}
}
