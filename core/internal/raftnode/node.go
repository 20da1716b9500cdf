package raftnode

import (
	"cmp"
	"context"
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
	ID    uint64 // of this member; not 0
	Log   *raftlog.Log
	Store *store.Store
	// Transport reaches the other members; nil: there never are any.
	Transport Transport
	Tick      time.Duration         // heartbeat; an election takes 10 to 20: 100ms
	LogBytes  int64                 // of the log above which all that state.db holds is cut: 256 MiB; half of it alone
	Logger    *zap.Logger           // default: none
	Meters    prometheus.Registerer // default: none
}

func (o *Options) fill() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Tick = cmp.Or(o.Tick, tickEvery)
	o.LogBytes = cmp.Or(o.LogBytes, cutBytes)
	if o.Transport == nil {
		o.Transport = nobody{}
	}
}

const (
	tickEvery     = 100 * time.Millisecond
	electionTicks = 10
	// fine is how many ticks of raft make one of ours. Followers campaign after a
	// random number of them: with few to choose from, two often choose the same,
	// split the vote, and nobody leads for another second or two.
	fine = 5
	// queueLength bounds the proposals that wait; beyond it they are refused
	// before raft has to (ENG-03).
	queueLength = 1024
	// applyLength is how many batches may be committed and not applied.
	applyLength = 16
	maxInflight = 256
)

// Node is one member of a raft group.
type Node struct {
	id        uint64
	tick      time.Duration
	cutBytes  int64
	log       *raftlog.Log
	store     *store.Store
	transport Transport
	logger    *zap.Logger
	meters    *meters
	raft      *raft.RawNode

	queue   *queue
	reads   chan *barrier
	inbox   chan inbound // what is short
	bulk    chan inbound // appends
	foreign chan *foreign
	freed   chan struct{} // capacity 1: a batch has come back
	control chan func()
	applies chan batch
	ctx     context.Context // ends with Close, for what waits on others
	cancel  context.CancelFunc
	stop    chan struct{}
	loops   sync.WaitGroup
	once    sync.Once

	nextID    atomic.Uint64
	proposals sync.Pool // of *proposal
	waiters   waiters

	leader   atomic.Uint64
	term     atomic.Uint64
	commit   atomic.Uint64
	readied  atomic.Uint64 // term in which it leads and has applied an entry of its own
	synced   atomic.Bool   // holds everything that was acknowledged before it started
	alone    atomic.Bool   // has no other members
	confAt   atomic.Uint64
	conf     atomic.Pointer[raftpb.ConfState]
	lease    atomic.Pointer[time.Time] // a quorum was heard after this; nil: none
	heard    atomic.Pointer[time.Time] // word of the leader, to the second or so
	gone     atomic.Pointer[departure] // the last one; nil: none
	readOnly atomic.Bool
	lost     atomic.Bool // there has been no leader for longer than the grace
	pressure pressure

	// The loop's own.
	leads       bool // as raft says
	found       bool // another leader, since the last turn
	ticks       int  // of raft
	leaderless  time.Time
	transfers   bool
	roundEnd    uint64 // last entry of the last round; it began at roundTick
	roundTick   int
	acked       acked
	heir        heir
	confPending uint64 // id of the change of members under way
	parked      []*proposal
	rounds      rounds
	accepted    map[uint64]*window // foreign batches of this term, by origin
	received    *store.Received    // that raft has not taken yet
	untold      []chan struct{}    // who brought a snapshot that raft has seen

	appliedTerm uint64 // the applier's own

	installs atomic.Bool // a snapshot is received or installed
	forwards forwards

	// The round of proposals, the loop's own: how many the last one took, and
	// how long this one still waits.
	taken    []*proposal // kept for the next round, as is late
	late     []*proposal
	expected int
	linger   *time.Timer
	entry    []byte // scratch: raft copies what it is proposed

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
	o.fill()
	if err := installStaged(o.Log, o.Store); err != nil {
		return nil, err
	}
	applied, err := joined(o.Log, o.Store)
	if err != nil {
		return nil, err
	}
	n := &Node{
		id: o.ID, tick: o.Tick, cutBytes: o.LogBytes, log: o.Log, store: o.Store, transport: o.Transport,
		logger: o.Logger, meters: newMeters(o.Meters), leaderless: time.Now(),
		queue:   newQueue(),
		reads:   make(chan *barrier, queueLength),
		inbox:   make(chan inbound, inboxLength),
		bulk:    make(chan inbound, bulkLength),
		foreign: make(chan *foreign, maxForeign),
		freed:   make(chan struct{}, 1),
		control: make(chan func()),
		applies: make(chan batch, applyLength),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		linger:  time.NewTimer(maxLinger),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.nextID.Store(rand.Uint64())
	n.forwards.origin = rand.Uint64()
	n.rounds.id = rand.Uint64()
	n.setConf(o.Store.ConfState(), applied)
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        o.ID,
		ElectionTick:              electionTicks * fine,
		HeartbeatTick:             fine,
		Storage:                   &storage{Log: o.Log, store: o.Store, conf: o.Store.ConfState(), applied: applied},
		Applied:                   applied,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  8 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           maxInflight,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		DisableProposalForwarding: true, // ARC-R07: done here, with an answer
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    raftLogger{o.Logger.Named("raft").Sugar()},
	})
	if err != nil {
		return nil, err
	}
	// A Ready tells them only when they change, which in a group at rest they do not.
	status := n.raft.BasicStatus()
	n.term.Store(status.GetTerm())
	n.commit.Store(status.GetCommit())
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
	n.once.Do(func() {
		close(n.stop)
		n.cancel()
	})
	n.loops.Wait()
	n.waiters.close(fmt.Errorf("propose: %w: %w", kv.ErrUncertain, kv.ErrClosed))
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
	close(n.done)
	n.waiters.close(fmt.Errorf("propose: %w: %w", kv.ErrUncertain, err))
}

// Status is what the node knows about itself.
type Status struct {
	Leader, Term, Commit uint64
	// Ready: a leader is known, and what was acknowledged before the start of
	// this member is applied. Leads: it is this member, and it has applied all
	// that its predecessors have acknowledged.
	Ready, Leads, ReadOnly bool
	Heard                  time.Time // last word of the leader; zero: none, or it is this member
}

// leading says whether this member leads and has applied everything that was
// ever acknowledged.
func (n *Node) leading() bool {
	return n.leader.Load() == n.id && n.readied.Load() == n.term.Load() && n.Err() == nil
}

// Status returns the present state; it costs nothing.
func (n *Node) Status() Status {
	s := Status{
		Leader: n.leader.Load(), Term: n.term.Load(), Commit: n.commit.Load(),
		Leads: n.leading(), ReadOnly: n.readOnly.Load() || n.store.ReadOnly(),
	}
	if t := n.heard.Load(); t != nil && s.Leader != n.id {
		s.Heard = *t
	}
	s.Ready = s.Leads || s.Leader != 0 && s.Leader != n.id && n.synced.Load() && n.Err() == nil
	return s
}
