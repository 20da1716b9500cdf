package raftnode

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// testTick makes an election take 150 to 300 ms.
const testTick = 15 * time.Millisecond

// network joins nodes in one process. Links can be cut, each direction by
// itself.
type network struct {
	mu     sync.Mutex // guards what follows
	nodes  map[uint64]*Node
	cuts   map[link]bool
	mute   map[link]bool // proposals arrive, their answers do not
	calls  int           // proposals that arrived
	sent   int           // snapshots
	tear   []int64       // after so many bytes each of the next snapshots breaks off
	closed bool

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

type link struct{ from, to uint64 }

func newNetwork(tb testing.TB) *network {
	tb.Helper()
	w := &network{nodes: map[uint64]*Node{}, cuts: map[link]bool{}, mute: map[link]bool{}}
	w.ctx, w.cancel = context.WithCancel(context.Background()) //nolint:usetesting // members close after the test's own context
	tb.Cleanup(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.cancel()
		w.wg.Wait()
	})
	return w
}

// isolate cuts every link of a member; heal mends all links.
func (w *network) isolate(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for other := range w.nodes {
		w.cuts[link{id, other}], w.cuts[link{other, id}] = true, true
	}
}

func (w *network) cut(from, to uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts[link{from, to}] = true
}

func (w *network) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cuts)
	clear(w.mute)
}

// reach returns the node at the end of a link.
func (w *network) reach(l link) *Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cuts[l] || w.closed {
		return nil
	}
	return w.nodes[l.to]
}

// start runs f unless the network is closed.
func (w *network) start(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.wg.Go(f)
	}
}

// endpoint is the transport of one member.
type endpoint struct {
	*network
	id uint64

	mu     sync.Mutex // guards queues
	queues map[uint64]chan *raftpb.Message
}

func (e *endpoint) Send(ms []*raftpb.Message) {
	for _, m := range ms {
		if m.GetType() == raftpb.MsgSnap {
			e.start(func() { e.sendSnapshot(m) })
			continue
		}
		select {
		case e.queue(m.GetTo()) <- m:
		default:
			e.start(func() { e.node().Unreachable(m.GetTo()) })
		}
	}
}

func (e *endpoint) node() *Node {
	e.network.mu.Lock()
	defer e.network.mu.Unlock()
	return e.nodes[e.id]
}

func (e *endpoint) queue(to uint64) chan *raftpb.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[to]
	if q == nil {
		q = make(chan *raftpb.Message, 4096)
		e.queues[to] = q
		e.start(func() { e.pump(to, q) })
	}
	return q
}

// pump delivers copies, as a wire would.
func (e *endpoint) pump(to uint64, q chan *raftpb.Message) {
	for {
		select {
		case m := <-q:
			if n := e.reach(link{e.id, to}); n != nil {
				_ = n.Step(e.ctx, proto.CloneOf(m)) // a closed node drops it
			} else if me := e.node(); m.GetType() == raftpb.MsgApp && me != nil {
				me.Unreachable(to)
			}
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *endpoint) sendSnapshot(m *raftpb.Message) {
	me, to := e.node(), e.reach(link{e.id, m.GetTo()})
	err := ErrUnsent
	if me == nil {
		return
	}
	if to != nil {
		err = e.copySnapshot(me, to, m)
	}
	e.network.mu.Lock()
	if err == nil {
		e.sent++
	}
	e.network.mu.Unlock()
	me.SnapshotSent(m.GetTo(), err)
}

func (w *network) copySnapshot(from, to *Node, m *raftpb.Message) error {
	s, err := from.OpenSnapshot(w.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	r, out := io.Pipe()
	go func() {
		_, err := s.WriteTo(out)
		out.CloseWithError(err)
	}()
	err = to.ReceiveSnapshot(w.ctx, SnapshotMessage(m, s.Meta()), w.torn(r))
	r.CloseWithError(io.ErrClosedPipe)
	return err
}

// torn is a connection that may break off, as the next of tear says.
func (w *network) torn(r io.Reader) io.Reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tear) == 0 {
		return r
	}
	n := w.tear[0]
	w.tear = w.tear[1:]
	return io.MultiReader(io.LimitReader(r, n), brokenReader{})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

func (e *endpoint) Propose(ctx context.Context, to uint64, b *Batch) (Verdict, error) {
	n := e.reach(link{e.id, to})
	if n == nil {
		return Verdict{}, ErrUnsent
	}
	v, err := n.Accept(ctx, b)
	e.network.mu.Lock()
	e.calls++
	mute := e.mute[link{to, e.id}]
	e.network.mu.Unlock()
	if mute {
		return Verdict{}, errors.New("answer lost")
	}
	return v, err
}

// group is members on one network.
type group struct {
	*network
	tb      testing.TB
	members map[uint64]*member
	dirs    map[uint64]string
	table   fsm.TableID
	tick    time.Duration
}

// newGroup returns a group that member 1 leads; the others have a vote.
func newGroup(tb testing.TB, others ...uint64) *group {
	tb.Helper()
	return newSlowGroup(tb, testTick, others...)
}

// newSlowGroup is newGroup with another tick.
func newSlowGroup(tb testing.TB, tick time.Duration, others ...uint64) *group {
	tb.Helper()
	g := &group{network: newNetwork(tb), tb: tb, members: map[uint64]*member{}, dirs: map[uint64]string{}, tick: tick}
	first := g.run(1, func(m *member) error { return FreshStart(tb.Context(), 1, m.log, m.store) })
	first.lead1(tb)
	g.table = first.table
	for _, id := range others {
		g.join(id, first)
	}
	return g
}

// run opens the directory of a member and starts it.
func (g *group) run(id uint64, before func(*member) error) *member {
	g.tb.Helper()
	dir := g.dirs[id]
	if dir == "" {
		dir = g.tb.TempDir()
		g.dirs[id] = dir
	}
	s, err := store.Open(store.Options{Dir: dir, PersistEvery: time.Hour, NoSync: true})
	if err != nil {
		g.tb.Fatalf("store.Open() = %v", err)
	}
	l, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{NoSync: true, SegmentSize: 1 << 20})
	if err != nil {
		g.tb.Fatalf("raftlog.Open() = %v", err)
	}
	m := &member{log: l, store: s, table: g.table}
	g.tb.Cleanup(func() { m.close(g.tb) })
	if before != nil {
		if err := before(m); err != nil {
			g.tb.Fatal(err)
		}
	}
	e := &endpoint{network: g.network, id: id, queues: map[uint64]chan *raftpb.Message{}}
	m.Node, err = recovered(Options{ID: id, Log: l, Store: s, Transport: e, Tick: g.tick})
	if err != nil {
		g.tb.Fatalf("recovered() = %v", err)
	}
	g.mu.Lock()
	g.nodes[id] = m.Node
	g.mu.Unlock()
	g.members[id] = m
	m.run()
	return m
}

// stop closes a member, which is gone for the others at once.
func (g *group) stop(id uint64) {
	g.tb.Helper()
	g.mu.Lock()
	delete(g.nodes, id)
	g.mu.Unlock()
	g.members[id].close(g.tb)
	delete(g.members, id)
}

// join adds a member through another, as learner first.
func (g *group) join(id uint64, leader *member) *member {
	g.tb.Helper()
	m := g.run(id, nil)
	g.change(leader, Change{AddLearner, id})
	eventually(g.tb, "the learner has caught up", func() bool {
		a, _ := m.store.Applied()
		b, _ := leader.store.Applied()
		return a >= b
	})
	g.change(leader, Change{AddVoter, id})
	if err := m.WaitReady(within(g.tb)); err != nil {
		g.tb.Fatalf("WaitReady(%d) = %v", id, err)
	}
	return m
}

func (g *group) change(leader *member, changes ...Change) {
	g.tb.Helper()
	if err := leader.ChangeMembers(within(g.tb), changes...); err != nil {
		g.tb.Fatalf("ChangeMembers(%v) = %v", changes, err)
	}
}

// leader waits for a member, but those named, that leads.
func (g *group) leader(but ...uint64) *member {
	g.tb.Helper()
	var found *member
	eventually(g.tb, "somebody leads", func() bool {
		for id, m := range g.members {
			skip := false
			for _, b := range but {
				skip = skip || b == id
			}
			if !skip && m.Status().Leads {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// follower is some member that does not lead.
func (g *group) follower(but ...uint64) *member {
	g.tb.Helper()
	lead := g.leader(but...)
	for id, m := range g.members {
		skip := m == lead
		for _, b := range but {
			skip = skip || b == id
		}
		if !skip {
			return m
		}
	}
	g.tb.Fatal("no follower")
	return nil
}

// lead1 declares the table of the tests.
func (m *member) lead1(tb testing.TB) {
	tb.Helper()
	ctx := within(tb)
	if err := m.WaitReady(ctx); err != nil {
		tb.Fatalf("WaitReady() = %v", err)
	}
	err := m.Declare(ctx, &fsm.Declare{Owner: "test", Tables: []kv.TableSpec{{Name: "t", Residency: kv.Hot}}})
	if err != nil {
		tb.Fatalf("Declare() = %v", err)
	}
	t, ok := m.store.Table("test", "t")
	if !ok {
		tb.Fatal("Table() = false after Declare")
	}
	m.table = t.ID
}
