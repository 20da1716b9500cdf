package raftnode

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	// maxGather is how many turns one Ready covers.
	maxGather = 64
	// roundTicks is how many ticks of raft a round keeps the next one waiting:
	// where members are far apart, rounds overlap after that.
	roundTicks = 2
)

// gather takes what else waits, so that one save and one message to each member
// cover it.
func (n *Node) gather() {
	if n.alone.Load() {
		return // rounds of a group of one are collect's
	}
	for range maxGather {
		queued, foreign := n.open()
		select {
		case m := <-n.inbox:
			n.receive(m)
		case m := <-n.bulk:
			n.receive(m)
		case f := <-foreign:
			n.take(f)
		case <-queued:
			n.collect()
		default:
			return
		}
	}
}

// open returns where proposals come from, nil for those that are to wait: until
// the next Ready shows who leads, or while a round of this leader is not committed
// yet. What comes meanwhile makes the next round larger, and its entries carry the
// commit of this one to the others. In a group of one nothing ever waits.
func (n *Node) open() (queued <-chan struct{}, foreign <-chan *foreign) {
	s := n.raft.BasicStatus()
	switch {
	case s.Lead != n.leader.Load() || s.GetTerm() != n.term.Load():
		return nil, nil
	case s.RaftState == raft.StateLeader && n.roundEnd > s.GetCommit() && n.ticks-n.roundTick < roundTicks:
		return nil, nil
	}
	return n.queue.ready, n.foreign
}

// began notes the entries of a round.
func (n *Node) began(entries []*raftpb.Entry) {
	if n.leads && len(entries) > 0 {
		n.roundEnd, n.roundTick = entries[len(entries)-1].GetIndex(), n.ticks
	}
}

// sparse leaves out appends that only move the commit of a member that is sent
// entries with the same Ready: those tell it too. Any message may be lost.
func sparse(ms []*raftpb.Message) []*raftpb.Message {
	out := ms[:0]
	for i, m := range ms {
		if m.GetType() != raftpb.MsgApp || len(m.GetEntries()) > 0 || !follows(m, ms[i+1:]) {
			out = append(out, m)
		}
	}
	return out
}

// follows says whether a later append to the same member says at least as much.
func follows(m *raftpb.Message, later []*raftpb.Message) bool {
	for _, x := range later {
		if x.GetType() == raftpb.MsgApp && x.GetTo() == m.GetTo() {
			return x.GetTerm() == m.GetTerm() && x.GetIndex() == m.GetIndex() && x.GetCommit() >= m.GetCommit()
		}
	}
	return false
}

// acked is what this member has acknowledged to a leader.
type acked struct {
	to, term, index uint64
	held            *raftpb.Message // says nothing new; nil: none
}

// hold takes out acknowledgements that say nothing new, as those of an append that
// only moves the commit. A leader that lost track of this member does need one: the
// last goes out with the next tick, unless a newer one did.
func (a *acked) hold(ms []*raftpb.Message) []*raftpb.Message {
	out := ms[:0]
	for i, m := range ms {
		if m.GetType() != raftpb.MsgAppResp || m.GetReject() {
			out = append(out, m)
			continue
		}
		if m.GetTo() != a.to || m.GetTerm() != a.term {
			*a = acked{to: m.GetTo(), term: m.GetTerm()}
		}
		switch {
		case m.GetIndex() <= a.index:
			a.held = m
		case surpassed(m, ms[i+1:]):
		default:
			a.index, a.held = m.GetIndex(), nil
			out = append(out, m)
		}
	}
	return out
}

// surpassed says whether a later acknowledgement covers m.
func surpassed(m *raftpb.Message, later []*raftpb.Message) bool {
	for _, x := range later {
		if x.GetType() == raftpb.MsgAppResp && !x.GetReject() && x.GetTo() == m.GetTo() &&
			x.GetTerm() == m.GetTerm() && x.GetIndex() >= m.GetIndex() {
			return true
		}
	}
	return false
}

// ticked sends what was held.
func (a *acked) ticked(t Transport) {
	if a.held != nil {
		t.Send([]*raftpb.Message{a.held})
		a.held = nil
	}
}
