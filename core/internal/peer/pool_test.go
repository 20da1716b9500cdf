package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// ARC-R09: messages arrive, in order on each lane.
func TestSend(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	p, _ := pool(t, someone(2, 9))
	p.Update(map[uint64]string{1: e.addr, 2: "self is skipped"})
	reaches(t, p, 1)
	const count = 500
	for i := range uint64(count) {
		p.Send([]*raftpb.Message{message(raftpb.MsgHeartbeat, 2, 1, i)})
		app := message(raftpb.MsgApp, 2, 1, i)
		app.Entries = []*raftpb.Entry{{Data: make([]byte, 100)}}
		p.Send([]*raftpb.Message{app})
		if i%100 == 99 {
			eventually(t, "they arrive", func() bool { return len(e.of(raftpb.MsgApp)) == int(i)+1 })
		}
	}
	for _, typ := range []raftpb.MessageType{raftpb.MsgHeartbeat, raftpb.MsgApp} {
		eventually(t, "all arrive", func() bool { return len(e.of(typ)) == count })
		for i, m := range e.of(typ) {
			if m.GetIndex() != uint64(i) {
				t.Fatalf("%s %d has index %d", typ, i, m.GetIndex())
			}
		}
	}
}

// A member whose process ends is told as gone as soon as its machine refuses, long
// before the ping that would have missed it; one that only cannot be reached is not.
func TestGone(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	var silent atomic.Bool
	p, n := pool(t, someone(2, 9), func(o *PoolOptions) {
		o.Every = 10 * time.Second
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			if silent.Load() {
				return nil, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
			}
			return dialTCP(ctx, address)
		}
	})
	p.Update(map[uint64]string{1: e.addr})
	x := p.peer(1)
	eventually(t, "the lanes are open", func() bool { return x.short.up.Load() && x.bulk.up.Load() })
	silent.Store(true)
	e.Close()
	eventually(t, "the connection is missed", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return errors.Is(x.refusal, syscall.EHOSTUNREACH)
	})
	if n.isGone(1) {
		t.Error("a member that cannot be reached is told as gone")
	}
	silent.Store(false)
	begin := time.Now()
	eventually(t, "it is told as gone", func() bool { return n.isGone(1) })
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it was told after %v", took)
	}
}

// ARC-R09: a member that takes no appends still gets heartbeats, and Send never
// waits for it; raft is told of what was dropped.
func TestSendNeverWaits(t *testing.T) {
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	e.step = func(ctx context.Context, m *raftpb.Message) error {
		if m.GetType() == raftpb.MsgApp {
			<-ctx.Done() // as slow as can be
		}
		return nil
	}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	p, n := pool(t, someone(2, 9))
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	app := message(raftpb.MsgApp, 2, 1, 1)
	app.Entries = []*raftpb.Entry{{Data: make([]byte, 1<<20)}}
	begin := time.Now()
	for range 4 * bulkLane {
		p.Send([]*raftpb.Message{app})
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("Send() took %v, want not to wait", d)
	}
	eventually(t, "losses are told", func() bool { return n.lost() > 0 })
	p.Send([]*raftpb.Message{message(raftpb.MsgHeartbeat, 2, 1, 7)})
	eventually(t, "the heartbeat passes", func() bool { return len(e.of(raftpb.MsgHeartbeat)) > 0 })
	if e.peerState(p) != Up {
		t.Error("the member counts as not up")
	}
}

func (e *endpoint) peerState(p *Pool) State {
	for _, h := range p.Health() {
		if h.ID == e.self.Member() {
			return h.State
		}
	}
	return 0
}

// What a member sends must be of its own, for the one it is sent to, and of a
// kind that travels; all else ends the stream.
func TestForged(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2, 3)
	p, _ := pool(t, someone(2, 9))
	for name, m := range map[string]*raftpb.Message{
		"from another": message(raftpb.MsgHeartbeat, 3, 1, 1),
		"to another":   message(raftpb.MsgHeartbeat, 2, 3, 1),
		"local":        message(raftpb.MsgHup, 2, 1, 1),
		"proposal":     message(raftpb.MsgProp, 2, 1, 1),
		"snapshot":     message(raftpb.MsgSnap, 2, 1, 1),
		"not raft":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte("\xff\xff not a message")
			if m != nil {
				var err error
				if raw, err = proto.Marshal(m); err != nil {
					t.Fatal(err)
				}
			}
			conn, err := p.client(e.addr, 1, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stream, err := peerv1.NewPeerClient(conn).Raft(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(&peerv1.RaftBatch{Messages: [][]byte{raw}}); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.CloseAndRecv(); err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
				t.Errorf("Raft() = %v, want InvalidArgument", err)
			}
		})
	}
	if len(e.messages) != 0 {
		t.Errorf("messages passed: %v", e.messages)
	}
	relayed, err := proto.Marshal(message(raftpb.MsgReadIndex, 3, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := e.decode(relayed, 2); m != nil || err != nil {
		t.Errorf("decode(a read passed on) = %v, %v, want it passed over", m, err)
	}
}

// ARC-R12: only members take part; one that was removed is told so, and hears it.
func TestStanding(t *testing.T) {
	e := &endpoint{self: someone(1, 0), standing: map[uint64]Standing{}}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	var removed atomic.Uint64
	p, _ := pool(t, someone(2, 9), func(o *PoolOptions) { o.Removed = func(by uint64) { removed.Store(by) } })
	p.Update(map[uint64]string{1: e.addr})
	says := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { h := p.Health(); return len(h) == 1 && strings.Contains(h[0].Error, want) })
	}
	says("in no group yet")
	e.Open(e)
	says("it is of cluster 0000000000000009, this member of 0000000000000000")
	e.self.cluster.Store(9)
	says("member 0000000000000002 is not known here")
	if removed.Load() != 0 {
		t.Error("it was told that it was removed")
	}
	e.stands(2, Member)
	reaches(t, p, 1)
	if h := p.Health()[0]; h.Applied != 42 || h.RTT <= 0 || h.Contact.IsZero() || h.Error != "" {
		t.Errorf("Health() = %+v", h)
	}
	e.stands(2, Removed)
	says("was removed from the cluster")
	eventually(t, "it hears of it", func() bool { return removed.Load() == 1 })
	eventually(t, "its streams end", func() bool {
		p.Send([]*raftpb.Message{message(raftpb.MsgHeartbeat, 2, 1, 1)})
		return !p.peer(1).short.up.Load()
	})
	if r, err := p.Describe(within(t), e.addr, &peerv1.DescribeRequest{}); err != nil || r.GetMember() != 1 {
		t.Errorf("Describe() = %v, %v: anybody with the secret may ask", r, err)
	}
	if r, err := p.Join(within(t), e.addr, &peerv1.Profile{Address: "a:1"}); err != nil || r.GetLeader() != "a:1" {
		t.Errorf("Join() = %v, %v", r, err)
	}
}

// A member goes and comes back, perhaps with another disk.
func TestHealth(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	var changes atomic.Int64
	p, _ := pool(t, someone(2, 9), func(o *PoolOptions) { o.Changed = func() { changes.Add(1) } })
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	e.Close()
	eventually(t, "it is down", func() bool { return e.peerState(p) == Down })
	p.Send([]*raftpb.Message{message(raftpb.MsgApp, 2, 1, 1)})
	e.serve(t, ServerOptions{}, e.addr)
	e.Open(e)
	reaches(t, p, 1)
	p.Send([]*raftpb.Message{message(raftpb.MsgHeartbeat, 2, 1, 5)})
	eventually(t, "messages pass again", func() bool { return len(e.of(raftpb.MsgHeartbeat)) > 0 })
	e.Close()
	e.self.member.Store(77)
	e.serve(t, ServerOptions{}, e.addr)
	e.Open(e)
	eventually(t, "another answers there", func() bool {
		h := p.Health()[0]
		return h.State == Down && strings.Contains(h.Error, "member 000000000000004d answers there")
	})
	p.Update(map[uint64]string{77: e.addr})
	reaches(t, p, 77)
	if changes.Load() < 4 {
		t.Errorf("changes of health told = %d, want at least 4", changes.Load())
	}
	e.stands(2, Member)
	p.Update(nil)
	if h := p.Health(); len(h) != 0 {
		t.Errorf("Health() = %+v, want nobody", h)
	}
	if _, err := p.Propose(within(t), 77, &raftnode.Batch{}); !errors.Is(err, raftnode.ErrUnsent) {
		t.Errorf("Propose() to nobody = %v, want %v", err, raftnode.ErrUnsent)
	}
}

// A connection that a partition has stalled is given up and opened anew.
func TestStalled(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	var stalled atomic.Bool
	p, _ := pool(t, someone(2, 9), func(o *PoolOptions) {
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			c, err := dialTCP(ctx, address)
			if err != nil {
				return nil, err
			}
			return &stalling{Conn: c, stalled: &stalled, was: make(chan struct{})}, nil
		}
	})
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	stalled.Store(true)
	eventually(t, "it is down", func() bool { return e.peerState(p) == Down })
	stalled.Store(false)
	reaches(t, p, 1)
	p.Send([]*raftpb.Message{message(raftpb.MsgHeartbeat, 2, 1, 5)})
	eventually(t, "messages pass again", func() bool { return len(e.of(raftpb.MsgHeartbeat)) > 0 })
}

// stalling swallows what is written while the link is stalled, and for ever
// after.
type stalling struct {
	net.Conn
	stalled *atomic.Bool
	dead    atomic.Bool
	was     chan struct{}
}

func (s *stalling) Write(b []byte) (int, error) {
	if s.stalled.Load() {
		s.dead.Store(true)
	}
	if s.dead.Load() {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

// ARC-R07.
func TestPropose(t *testing.T) {
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	e.verdict = raftnode.Verdict{Taken: 1, Reason: raftnode.Overloaded}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	p, _ := pool(t, someone(2, 9))
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	b := &raftnode.Batch{Term: 1, Origin: 2, Seq: 3, Low: 4, Commands: [][]byte{[]byte("a"), []byte("b")}}
	v, err := p.Propose(within(t), 1, b)
	if err != nil || v != e.verdict {
		t.Errorf("Propose() = %+v, %v, want %+v", v, err, e.verdict)
	}
	got := e.batches[0]
	if got.Term != 1 || got.Origin != 2 || got.Seq != 3 || got.Low != 4 || len(got.Commands) != 2 || string(got.Commands[1]) != "b" {
		t.Errorf("batch = %+v, want %+v", got, b)
	}
}

// REL-11: a snapshot arrives whole, and raft hears of every outcome.
func TestSnapshot(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.ApplyConf(7, 3, &raftpb.ConfState{Voters: []uint64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	var announced atomic.Pointer[raftpb.Message]
	var refuse atomic.Bool
	e.snapshot = func(m *raftpb.Message) error {
		announced.Store(m)
		if refuse.Load() {
			return errors.New("no room")
		}
		return nil
	}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	p, n := pool(t, someone(2, 9))
	n.store = s
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	send := func(outcomes int) error {
		t.Helper()
		p.Send([]*raftpb.Message{message(raftpb.MsgSnap, 2, 1, 0)})
		eventually(t, "the outcome is told", func() bool { return len(n.outcomes()) == outcomes })
		return n.outcomes()[outcomes-1]
	}
	if err := send(1); err != nil {
		t.Fatalf("snapshot = %v", err)
	}
	if m := announced.Load().GetSnapshot().GetMetadata(); m.GetIndex() != 7 || m.GetTerm() != 3 || len(m.GetConfState().GetVoters()) != 2 {
		t.Errorf("announced %v, want what the state holds", m)
	}
	snap, err := s.OpenSnapshot(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if _, err := snap.WriteTo(&want); err != nil {
		t.Fatal(err)
	}
	_ = snap.Close()
	if !bytes.Equal(e.data, want.Bytes()) {
		t.Errorf("received %d bytes, want %d", len(e.data), want.Len())
	}
	refuse.Store(true)
	if err := send(2); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("refused snapshot = %v, want the reason", err)
	}
	e.Close()
	eventually(t, "it is down", func() bool { return e.peerState(p) == Down })
	if err := send(3); err == nil {
		t.Error("snapshot to a member that is down = nil error")
	}
	p.Update(nil)
	if err := send(4); !errors.Is(err, raftnode.ErrUnsent) {
		t.Errorf("snapshot to nobody = %v, want %v", err, raftnode.ErrUnsent)
	}
}

// REL-11: a member that restarts while it needs a snapshot gets one, although
// nothing else is sent to it and no ping has missed it.
func TestSnapshotAfterRestart(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.ApplyConf(7, 3, &raftpb.ConfState{Voters: []uint64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	p, n := pool(t, someone(2, 9), func(o *PoolOptions) { o.Every = patience })
	n.store = s
	p.Update(map[uint64]string{1: e.addr})
	eventually(t, "there is a stream", p.peer(1).bulk.up.Load)
	p.Send([]*raftpb.Message{message(raftpb.MsgApp, 2, 1, 5)})
	eventually(t, "an append arrives", func() bool { return len(e.of(raftpb.MsgApp)) > 0 })
	e.Close()
	e.serve(t, ServerOptions{}, e.addr)
	e.Open(e)
	begin := time.Now()
	for tries := 1; ; tries++ {
		p.Send([]*raftpb.Message{message(raftpb.MsgSnap, 2, 1, 0)})
		eventually(t, "the outcome is told", func() bool { return len(n.outcomes()) >= tries })
		err := n.outcomes()[tries-1]
		if err == nil {
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("snapshot = %v after %d tries", err, tries)
		}
		if d := time.Since(begin); tries > 2 && d < time.Duration(tries-1)*failPause {
			t.Fatalf("%d tries within %v: raft is told of failures at once", tries, d)
		}
	}
}

// CTR-L01: the error says whether the handler may have run.
func TestCall(t *testing.T) {
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	e.call = func(ctx context.Context, from uint64, service, method string, body []byte) ([]byte, error) {
		switch method {
		case "echo":
			return append([]byte(service+" "), body...), nil
		case "fail":
			return nil, errors.New("it says no")
		case "busy":
			return nil, kv.ErrOverloaded
		case "hang":
			<-ctx.Done()
			return nil, ctx.Err()
		case "panic":
			panic("handler")
		}
		return nil, kv.ErrNotFound
	}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	p, _ := pool(t, someone(2, 9), func(o *PoolOptions) { o.Every = 500 * time.Millisecond })
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	large := make([]byte, MaxBody-100)
	if b, err := p.Call(within(t), 1, "s", "echo", large); err != nil || len(b) != len(large)+2 {
		t.Errorf("Call(large) = %d bytes, %v, want %d", len(b), err, len(large)+2)
	}
	if _, err := p.Call(within(t), 1, "s", "echo", make([]byte, MaxBody+1)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Call(too large) = %v, want %v", err, kv.ErrTooLarge)
	}
	for method, want := range map[string]error{"none": kv.ErrNotFound, "busy": kv.ErrOverloaded, "panic": kv.ErrUncertain} {
		if _, err := p.Call(within(t), 1, "s", method, nil); !errors.Is(err, want) {
			t.Errorf("Call(%s) = %v, want %v", method, err, want)
		}
	}
	var he *cluster.HandlerError
	if _, err := p.Call(within(t), 1, "s", "fail", nil); !errors.As(err, &he) || he.Text != "it says no" {
		t.Errorf("Call(fail) = %v, want the handler's own error", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Call(ctx, 1, "s", "hang", nil); !errors.Is(err, kv.ErrUncertain) {
		t.Errorf("Call(hang) = %v, want %v", err, kv.ErrUncertain)
	}
	if _, err := p.Call(within(t), 5, "s", "echo", nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() of nobody = %v, want %v", err, kv.ErrNotFound)
	}
	e.Close()
	eventually(t, "the breaker opens", func() bool {
		_, err := p.Call(within(t), 1, "s", "echo", nil)
		return err != nil && strings.Contains(err.Error(), "breaker is open") && errors.Is(err, cluster.ErrUnreachable)
	})
	if h := p.Health()[0]; h.Breaker != Open {
		t.Errorf("breaker = %v, want open", h.Breaker)
	}
}

// A member that is too busy to answer pings is not cut off from: what is under
// way ends as it should.
func TestSlowIsNotStalled(t *testing.T) {
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	var busy atomic.Bool
	over, entered := make(chan struct{}), make(chan struct{})
	e.ping = func() {
		if busy.Load() {
			<-over
		}
	}
	e.call = func(context.Context, uint64, string, string, []byte) ([]byte, error) {
		close(entered)
		<-over
		return []byte("done"), nil
	}
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	p, _ := pool(t, someone(2, 9))
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	type outcome struct {
		body []byte
		err  error
	}
	answered := make(chan outcome, 1)
	go func() {
		b, err := p.Call(within(t), 1, "s", "m", nil)
		answered <- outcome{b, err}
	}()
	<-entered
	busy.Store(true)
	eventually(t, "it is down", func() bool { return p.Health()[0].Fails > 3*renewAfter })
	busy.Store(false)
	close(over)
	if o := <-answered; o.err != nil || string(o.body) != "done" {
		t.Errorf("Call() of a slow member = %q, %v, want done", o.body, o.err)
	}
	reaches(t, p, 1)
}
