package raftnode

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// batch is committed entries in order; a change of the configuration comes last.
type batch struct {
	entries   []*raftpb.Entry
	confEntry *raftpb.Entry
	conf      *raftpb.ConfState
}

// applier owns the writing side of the store.
func (n *Node) applier() {
	for b := range n.applies {
		if n.Err() != nil {
			continue // let the loop end
		}
		if err := n.apply(b); err != nil {
			n.Fail(err)
		}
	}
}

func (n *Node) apply(b batch) error {
	if len(b.entries) > 0 {
		committed := make([]store.Committed, len(b.entries))
		for i, e := range b.entries {
			committed[i] = store.Committed{Index: e.GetIndex(), Term: e.GetTerm(), Data: e.GetData()}
		}
		outs, err := n.store.Apply(committed)
		// gofail: var raftnodeBeforeReply struct{}
		n.waiters.tell(outs)
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		n.led(committed[len(committed)-1].Term)
	}
	if b.confEntry != nil {
		if err := n.store.ApplyConf(b.confEntry.GetIndex(), b.confEntry.GetTerm(), b.conf); err != nil {
			return fmt.Errorf("apply configuration change: %w", err)
		}
	}
	n.pressure.applied.broadcast()
	return nil
}

// led marks a leader ready once it has applied an entry of its own term: from
// then on its state holds everything that was ever acknowledged.
func (n *Node) led(term uint64) {
	if n.leader.Load() == n.id && term == n.term.Load() && n.Err() == nil {
		n.ready.Store(true)
	}
}

// waitApplied returns when the entry at index is applied.
func (n *Node) waitApplied(ctx context.Context, index uint64) error {
	for {
		changed := n.pressure.applied.wait()
		if at, _ := n.store.Applied(); at >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("read: %w", ctx.Err())
		case <-n.done:
			return fmt.Errorf("read: %w", kv.ErrNoLeader)
		case <-n.stop:
			return fmt.Errorf("read: %w", kv.ErrClosed)
		}
	}
}

// signal wakes everyone who waits, at each broadcast.
type signal struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
