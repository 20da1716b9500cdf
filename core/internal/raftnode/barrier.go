package raftnode

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/easynet-cn/batata/core/kv"
)

// barrier is one read that waits for a quorum round.
type barrier struct {
	index uint64     // to be applied, set before done
	done  chan error // capacity 1: the loop never waits
}

// freshWait is how long a Fresh read of a member that is cut off waits for its
// round: somebody may just come back (ARC-R08). Others wait out a change of the
// leader, so that it does not show (ADR 8).
const freshWait = 50 * time.Millisecond

// freshLimit is how long a Fresh read waits now.
func (n *Node) freshLimit() time.Duration {
	if n.lost.Load() {
		return freshWait
	}
	return n.patience()
}

// Barrier returns when the local state is as fresh as asked, and says what was
// achieved: a Fresh read falls back to Local when no round comes in time.
func (n *Node) Barrier(ctx context.Context, c kv.Consistency) (kv.Consistency, error) {
	switch c {
	case kv.Local:
		return kv.Local, nil
	case kv.Linearizable:
		return kv.Linearizable, n.round(ctx)
	case kv.Fresh:
	default:
		return 0, fmt.Errorf("consistency %d is not known", c)
	}
	// Alone in its group a leader is its own quorum, and whatever it has
	// answered it has applied before.
	leads := n.leading()
	if leads && n.alone.Load() {
		return kv.Fresh, nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.freshLimit())
	defer cancel()
	var err error
	if commit := n.commit.Load(); leads && n.leased() {
		// A follower may have answered for what is committed, not applied here.
		err = n.waitApplied(ctx, commit)
	} else {
		err = n.round(ctx)
	}
	if err != nil {
		n.meters.fallbacks.Inc()
		return kv.Local, nil // the fallback is what Fresh means
	}
	return kv.Fresh, nil
}

// leased says whether a quorum has followed this member within half an election
// timeout: nobody else can lead yet. Both clocks must say so, since one of them
// stands still while the process or the machine is paused.
func (n *Node) leased() bool {
	t := n.lease.Load()
	if t == nil {
		return false
	}
	half := electionTicks / 2 * n.tick
	now := time.Now()
	wall := now.Round(0).Sub(t.Round(0))
	return now.Sub(*t) < half && wall >= 0 && wall < half
}

// round asks for a quorum round and waits until its index is applied.
func (n *Node) round(ctx context.Context) error {
	b := &barrier{done: make(chan error, 1)}
	select {
	case n.reads <- b:
	case <-ctx.Done():
		return fmt.Errorf("read: %w", ctx.Err())
	case <-n.done:
		return fmt.Errorf("read: %w", kv.ErrNoLeader)
	case <-n.stop:
		return fmt.Errorf("read: %w", kv.ErrClosed)
	}
	select {
	case err := <-b.done:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("read: %w: %w", kv.ErrNoLeader, ctx.Err())
	case <-n.done:
		return fmt.Errorf("read: %w", kv.ErrNoLeader)
	case <-n.stop:
		return fmt.Errorf("read: %w", kv.ErrClosed)
	}
	return n.waitApplied(ctx, b.index)
}

// rounds are the quorum rounds of this member: at most one is under way, and
// who comes meanwhile shares the next (ARC-R08). They belong to the loop.
type rounds struct {
	id    uint64 // of the last question
	first uint64 // question of the round under way; a round may ask again
	begun time.Time
	asked time.Time
	open  []*barrier // wait for the round under way
	next  []*barrier // wait for the next one
	since time.Time  // the first of next waits
}

// askAgainTicks is how long an answer may take before it counts as lost.
const askAgainTicks = 3

// ask takes a reader, and everyone else who waits.
func (n *Node) ask(b *barrier) {
	r := &n.rounds
	if len(r.next) == 0 {
		r.since = time.Now()
	}
	r.next = append(r.next, b)
	for {
		select {
		case b := <-n.reads:
			r.next = append(r.next, b)
			continue
		default:
		}
		break
	}
	if len(r.open) == 0 {
		r.begin(n)
	}
}

// begin starts a round for those who wait, once there is somebody to ask.
func (r *rounds) begin(n *Node) {
	if len(r.next) == 0 || n.leader.Load() == 0 {
		return
	}
	r.open, r.next = r.next, nil
	r.begun = time.Now()
	r.first = r.id + 1
	r.question(n)
}

func (r *rounds) question(n *Node) {
	r.id++
	r.asked = time.Now()
	n.raft.ReadIndex(binary.BigEndian.AppendUint64(nil, r.id))
}

// again asks a leader that was just found.
func (r *rounds) again(n *Node) {
	if len(r.open) > 0 && n.leader.Load() != 0 {
		r.question(n)
		return
	}
	r.begin(n)
}

// answered ends the round under way.
func (r *rounds) answered(n *Node, states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		id := binary.BigEndian.Uint64(s.RequestCtx)
		if len(r.open) == 0 || id-r.first > r.id-r.first {
			continue // of a round that is over
		}
		if n.leads && !n.transfers {
			begun := r.begun
			n.lease.Store(&begun)
		}
		r.end(s.Index, nil)
		r.begin(n)
	}
}

func (r *rounds) end(index uint64, err error) {
	for _, b := range r.open {
		b.index = index
		b.done <- err
	}
	r.open = nil
}

// ticked asks again what was lost, and gives up where no leader answers.
func (r *rounds) ticked(n *Node, now time.Time) {
	lost := n.leader.Load() == 0 && now.Sub(n.leaderless) >= n.grace()
	err := fmt.Errorf("read: %w", kv.ErrNoLeader)
	if len(r.open) > 0 {
		switch {
		case lost || now.Sub(r.begun) > n.patience():
			r.end(0, err)
		case n.leader.Load() != 0 && now.Sub(r.asked) >= askAgainTicks*n.tick:
			r.question(n)
		}
	}
	if lost && len(r.next) > 0 && now.Sub(r.since) >= n.grace() {
		r.open, r.next = r.next, nil
		r.end(0, err)
	}
	if len(r.open) == 0 {
		r.begin(n)
	}
}

// WaitReady returns when this member holds everything that was acknowledged
// before it started and knows a leader, or has failed, or ctx ends.
func (n *Node) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(n.tick)
	defer tick.Stop()
	for {
		changed := n.pressure.applied.wait()
		if n.Status().Ready {
			return nil
		}
		if leader := n.leader.Load(); leader != 0 && leader != n.id && n.round(ctx) == nil {
			n.synced.Store(true)
			continue
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for a leader: %w", ctx.Err())
		case <-n.done:
			return n.Err()
		case <-n.stop:
			return kv.ErrClosed
		}
	}
}
