package raftnode

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

const (
	// maxEntry is how much is joined into one entry; a larger command stands
	// alone.
	maxEntry = 64 << 10
	// largeCommand is logged.
	largeCommand = 1 << 20
	// maxLinger is how long a round waits for its next command.
	maxLinger = 500 * time.Microsecond
)

// collect proposes what waits, in as few entries as possible. When the round
// before took many, it waits a moment for as many again: writers come back
// together, and one save for all of them is what makes many cheap (ENG-02). A
// writer that is alone never waits.
func (n *Node) collect() {
	round := n.queue.take(n.taken)
	missing := n.expected - n.expected/4 - len(round)
	if len(round) > 0 && missing > 0 && n.alone.Load() { // in a group, answers of others must not wait
		round = append(round, n.stragglers(missing)...)
		clear(n.late)
	}
	n.expected = len(round)
	n.route(round)
	clear(round)
	n.taken = round[:0]
	n.queue.want(1)
}

// stragglers waits for so many proposals, for a moment.
func (n *Node) stragglers(missing int) []*proposal {
	n.queue.want(missing)
	n.linger.Reset(maxLinger)
	select {
	case <-n.queue.ready:
	case <-n.linger.C:
	case <-n.stop:
	}
	n.linger.Stop()
	n.late = n.queue.take(n.late[:0])
	return n.late
}

// route sends a round where it can be proposed: here, to the leader, or aside
// until there is one.
func (n *Node) route(round []*proposal) {
	leader := n.leader.Load()
	switch {
	case leader == 0 || n.transfers:
		n.park(round)
	case n.leads:
		n.propose1(round)
	case leader != n.id:
		n.forward(leader, round)
	default: // about to lead
		n.park(round)
	}
}

// propose1 enters a round here, where it is led.
func (n *Node) propose1(round []*proposal) {
	for len(round) > 0 {
		rest, err := n.enter(round)
		if err != nil {
			for _, p := range round[:len(round)-len(rest)] {
				n.waiters.fail(p, fmt.Errorf("propose: %w", err))
			}
		}
		round = rest
	}
}

// enter proposes one entry of the first commands that fit it, at least one, and
// returns the others.
func (n *Node) enter(round []*proposal) (rest []*proposal, err error) {
	n.entry = fsm.AppendHeader(n.entry[:0])
	count := 0
	for _, p := range round {
		if count > 0 && len(n.entry)+len(p.data) > maxEntry {
			break
		}
		if len(p.data) > largeCommand {
			n.logger.Info("large transaction", zap.Int("bytes", len(p.data)))
		}
		n.entry = append(n.entry, p.data...)
		count++
	}
	round, rest = round[:count], round[count:]
	n.meters.proposals.Add(float64(len(round)))
	err = n.raft.Propose(n.entry)
	if cap(n.entry) > 2*maxEntry {
		n.entry = nil
	}
	if errors.Is(err, raft.ErrProposalDropped) {
		return rest, kv.ErrOverloaded // too much is uncommitted
	}
	if err != nil {
		return rest, err
	}
	term := n.term.Load()
	for _, p := range round {
		if p.waiter != nil {
			p.waiter.term.Store(term)
		}
	}
	return rest, nil
}

// park keeps proposals until there is a leader.
func (n *Node) park(round []*proposal) {
	now := time.Now()
	for _, p := range round {
		if len(n.parked) >= queueLength {
			n.meters.rejected.Inc()
			n.waiters.fail(p, fmt.Errorf("propose: %w", kv.ErrOverloaded))
			continue
		}
		if p.parked.IsZero() {
			p.parked = now
		}
		n.parked = append(n.parked, p)
	}
}

// unpark routes what is parked when there is a leader, and refuses what has
// waited long enough, for one or for its answers. Nothing of it is in any log.
func (n *Node) unpark(now time.Time) {
	if len(n.parked) == 0 {
		return
	}
	parked := n.parked
	n.parked = nil
	ready := n.leader.Load() != 0 && !n.transfers
	var again []*proposal
	for _, p := range parked {
		switch {
		case p.waiter.gone.Load():
		case ready && now.Sub(p.parked) < n.patience():
			again = append(again, p)
		case ready || now.Sub(p.parked) >= n.grace():
			n.waiters.fail(p, fmt.Errorf("propose: %w", kv.ErrNoLeader))
		default:
			n.parked = append(n.parked, p)
		}
	}
	if len(again) > 0 {
		n.route(again)
	}
}
