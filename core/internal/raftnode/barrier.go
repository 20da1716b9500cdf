package raftnode

import (
	"context"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// barrier is one read that waits for a quorum round.
type barrier struct {
	index uint64     // to be applied, set before done
	done  chan error // capacity 1: the loop never waits
}

// freshWait is how long a Fresh read waits for its round (ARC-R08).
const freshWait = 50 * time.Millisecond

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
	if n.ready.Load() && n.leader.Load() == n.id {
		return kv.Fresh, nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	if err := n.round(ctx); err != nil {
		n.meters.fallbacks.Inc()
		return kv.Local, nil // the fallback is what Fresh means
	}
	return kv.Fresh, nil
}

// round asks raft for one quorum round and waits until its index is applied.
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
		return fmt.Errorf("read: %w", kv.ErrNoLeader)
	case <-n.done:
		return fmt.Errorf("read: %w", kv.ErrNoLeader)
	case <-n.stop:
		return fmt.Errorf("read: %w", kv.ErrClosed)
	}
	return n.waitApplied(ctx, b.index)
}

// WaitReady returns when this node leads and holds everything that was ever
// acknowledged, or has failed, or ctx ends.
func (n *Node) WaitReady(ctx context.Context) error {
	for {
		changed := n.pressure.applied.wait()
		if n.ready.Load() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for a leader: %w", ctx.Err())
		case <-n.done:
			return n.Err()
		case <-n.stop:
			return kv.ErrClosed
		}
	}
}
