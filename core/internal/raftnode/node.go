package raftnode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// Options wire a node. Log and Store are open, belong to the caller and must
// outlive the node.
type Options struct {
	ID     uint64 // of this member; not 0
	Log    *raftlog.Log
	Store  *store.Store
	Logger *zap.Logger           // default: none
	Meters prometheus.Registerer // default: none
}

const (
	tickEvery     = 100 * time.Millisecond
	electionTicks = 10
	// queueLength bounds the proposals that wait; beyond it they are refused
	// before raft has to (ENG-03).
	queueLength = 1024
	// applyLength is how many batches may be committed and not applied.
	applyLength = 16
	maxInflight = 256
)

// Node is one member of a raft group.
type Node struct {
	id     uint64
	log    *raftlog.Log
	store  *store.Store
	logger *zap.Logger
	meters *meters
	raft   *raft.RawNode

	queue   chan *proposal
	reads   chan *barrier
	applies chan batch
	stop    chan struct{}
	loops   sync.WaitGroup
	once    sync.Once

	nextID  atomic.Uint64
	waiters waiters

	leader   atomic.Uint64
	term     atomic.Uint64
	commit   atomic.Uint64
	ready    atomic.Bool // leads, and has applied an entry of its own term
	readOnly atomic.Bool
	pressure pressure

	// barriers waiting for raft, by context number; the loop's own.
	asked   map[uint64][]*barrier
	askedID uint64

	// The round of proposals, the loop's own: how many the last one took, and
	// how long this one still waits.
	taken    []*proposal // kept for the next round
	expected int
	linger   *time.Timer
	lingers  bool

	failure atomic.Pointer[error]
	done    chan struct{}
}

// FreshStart says how a member begins without data: as the one voter of a new
// group. It is durable when it returns and may be repeated after a crash.
func FreshStart(ctx context.Context, id uint64, l *raftlog.Log, s *store.Store) error {
	const index, term = 1, 1
	if at, _ := s.Applied(); at > index {
		return nil
	}
	if err := s.ApplyConf(index, term, &raftpb.ConfState{Voters: []uint64{id}}); err != nil {
		return fmt.Errorf("form group: %w", err)
	}
	if err := s.Flush(ctx); err != nil {
		return fmt.Errorf("form group: %w", err)
	}
	if last, err := l.LastIndex(); err != nil || last >= index {
		return err
	}
	if err := l.Reset(index, term); err != nil {
		return fmt.Errorf("form group: %w", err)
	}
	return nil
}

// Start recovers from the log and the store and starts the loops. It returns
// before a leader is known.
func Start(o Options) (*Node, error) {
	n, err := recovered(o)
	if err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	n.run()
	return n, nil
}

// recovered returns a node as the log and the store left it.
func recovered(o Options) (*Node, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	applied, _ := o.Store.Applied()
	last, err := o.Log.LastIndex()
	if err != nil {
		return nil, err
	}
	if applied > last {
		return nil, fmt.Errorf("state.db is at entry %d, but the log ends at %d: "+
			"the log directory belongs to another time; restore both from one backup", applied, last)
	}
	n := &Node{
		id: o.ID, log: o.Log, store: o.Store, logger: o.Logger, meters: newMeters(o.Meters),
		queue:   make(chan *proposal, queueLength),
		reads:   make(chan *barrier, queueLength),
		applies: make(chan batch, applyLength),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		linger:  time.NewTimer(maxLinger),
		asked:   map[uint64][]*barrier{},
	}
	n.nextID.Store(rand.Uint64())
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        o.ID,
		ElectionTick:              electionTicks,
		HeartbeatTick:             1,
		Storage:                   storage{Log: o.Log, conf: o.Store.ConfState(), applied: applied},
		Applied:                   applied,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  8 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           maxInflight,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    raftLogger{o.Logger.Named("raft").Sugar()},
	})
	if err != nil {
		return nil, err
	}
	if voters := o.Store.ConfState().GetVoters(); len(voters) == 1 && voters[0] == o.ID {
		if err := n.raft.Campaign(); err != nil { // ENG-23: nobody else to wait for
			return nil, err
		}
	}
	return n, nil
}

// run starts the loops, which Close joins.
func (n *Node) run() {
	n.loops.Go(n.loop)
	n.loops.Go(n.applier)
}

// Close stops the loops. Proposals that wait end with kv.ErrUncertain or
// kv.ErrClosed. It is idempotent.
func (n *Node) Close() {
	n.once.Do(func() { close(n.stop) })
	n.loops.Wait()
	n.waiters.failAll(kv.ErrUncertain)
}

// Done is closed when the node has failed for good; Err says why.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is the failure that ended the node, nil before.
func (n *Node) Err() error {
	if p := n.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Fail ends the node: it takes nothing more. The first reason is kept.
func (n *Node) Fail(err error) {
	if err == nil || !n.failure.CompareAndSwap(nil, &err) {
		return
	}
	n.logger.Error("storage failed, this member takes nothing more", zap.Error(err))
	n.ready.Store(false)
	close(n.done)
	n.waiters.failAll(errors.Join(kv.ErrUncertain, err))
}

// Status is what the node knows about itself.
type Status struct {
	Leader, Term, Commit uint64
	Ready, ReadOnly      bool
}

// Status returns the present state; it costs nothing.
func (n *Node) Status() Status {
	return Status{
		Leader: n.leader.Load(), Term: n.term.Load(), Commit: n.commit.Load(),
		Ready: n.ready.Load(), ReadOnly: n.readOnly.Load() || n.store.ReadOnly(),
	}
}

// storage is the log as raft reads it.
type storage struct {
	*raftlog.Log
	conf    *raftpb.ConfState
	applied uint64
}

// InitialState implements raft.Storage. A commit index alone is not synced, so
// what the store has applied may be ahead of it.
func (s storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hs := s.HardState()
	if hs == nil {
		hs = &raftpb.HardState{}
	}
	if commit := max(hs.GetCommit(), s.applied); commit > 0 {
		hs.Commit = &commit
		term := max(hs.GetTerm(), 1)
		hs.Term = &term
	}
	return hs, s.conf, nil
}

// Snapshot implements raft.Storage. A group of one sends none.
func (storage) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}
