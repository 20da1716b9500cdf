package raftnode

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// batch is a snapshot to install, or committed entries in order; a change of
// the members comes last.
type batch struct {
	install   *store.Received
	entries   []*raftpb.Entry
	confEntry *raftpb.Entry
	conf      *raftpb.ConfState
	confID    uint64 // of who asked for the change; 0: nobody
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
	if b.install != nil {
		return n.install(b.install)
	}
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
		n.passed(committed[len(committed)-1].Term)
	}
	if e := b.confEntry; e != nil {
		if err := n.store.ApplyConf(e.GetIndex(), e.GetTerm(), b.conf); err != nil {
			return fmt.Errorf("apply change of members: %w", err)
		}
		// gofail: var raftnodeAfterConfChange struct{}
		if b.confID != 0 {
			n.waiters.tell([]fsm.Outcome{{ID: b.confID}})
		}
		n.passed(e.GetTerm())
	}
	n.pressure.applied.broadcast()
	return nil
}

// passed notes that an entry of term is applied.
func (n *Node) passed(term uint64) {
	if term > n.appliedTerm {
		n.appliedTerm = term
		n.waiters.failTerms(term, errLost)
	}
	// A leader that has applied an entry of its own term holds everything that
	// was ever acknowledged.
	if n.leader.Load() == n.id && term == n.term.Load() && n.Err() == nil {
		n.synced.Store(true)
		n.readied.Store(term)
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
