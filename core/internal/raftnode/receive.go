package raftnode

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

const (
	// inboxLength is how many short messages may wait.
	inboxLength = 1024
	// bulkLength is how many appends may wait, of a megabyte or one large entry
	// each. A full queue holds the stream back, and that the sender.
	bulkLength = 16
	// maxReceive is how many messages one turn of the loop takes.
	maxReceive = 256
)

// inbound is a message from another member.
type inbound struct {
	m        *raftpb.Message
	received *store.Received // of a MsgSnap
	done     chan struct{}   // closed when raft has seen it; nil: nobody waits
}

// Step takes a message that another member has sent, in the order of the call.
// It waits while there are too many. The message belongs to the node.
func (n *Node) Step(ctx context.Context, m *raftpb.Message) error {
	ch := n.inbox
	if m.GetType() == raftpb.MsgApp {
		ch = n.bulk
	}
	return n.hand(ctx, ch, inbound{m: m})
}

func (n *Node) hand(ctx context.Context, ch chan inbound, in inbound) error {
	select {
	case ch <- in:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return fmt.Errorf("receive: %w", n.Err())
	case <-n.stop:
		return kv.ErrClosed
	}
}

// receive gives raft a message and what else is there, the short ones first.
func (n *Node) receive(in inbound) {
	n.step(in)
	for range maxReceive {
		select {
		case in = <-n.inbox:
			n.step(in)
			continue
		default:
		}
		select {
		case in = <-n.bulk:
			n.step(in)
		default:
			return
		}
	}
}

func (n *Node) step(in inbound) {
	m := in.m
	if m.GetType() == raftpb.MsgHeartbeat {
		if n.behind(m) {
			return
		}
		if m.GetFrom() == n.leader.Load() {
			now := time.Now()
			n.heard.Store(&now)
			n.heir.heard(now)
		}
	}
	if in.received != nil {
		n.discardUntaken()
		n.received = in.received
	}
	if err := n.raft.Step(m); err != nil {
		n.logger.Debug("message ignored", zap.String("type", m.GetType().String()), zap.Error(err))
	}
	if in.done != nil {
		n.untold = append(n.untold, in.done)
	}
}

// behind ends a member whose log lacks what it has acknowledged: somebody has
// put an older state in its place. Raft takes that for a bug and panics.
func (n *Node) behind(m *raftpb.Message) bool {
	if last, err := n.log.LastIndex(); err != nil || m.GetCommit() <= last {
		return false
	}
	if err := n.drain(); err != nil { // perhaps the entries came just before
		return true
	}
	last, err := n.log.LastIndex()
	if err != nil || m.GetCommit() <= last {
		return false
	}
	n.Fail(fmt.Errorf("this member acknowledged entry %d and its log ends at %d: its data is older than it was; "+
		"stop it and move its data directory away, then it joins anew", m.GetCommit(), last))
	return true
}

// Unreachable tells that messages to a member were lost.
func (n *Node) Unreachable(id uint64) {
	n.run1(func() { n.raft.ReportUnreachable(id) })
}

// run1 runs do in the loop, some time soon, unless the node ends.
func (n *Node) run1(do func()) {
	select {
	case n.control <- do:
	case <-n.done:
	case <-n.stop:
	}
}
