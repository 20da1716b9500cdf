package peer

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/store"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; nothing takes nearly as long.
const patience = 30 * time.Second

var secret = bytes.Repeat([]byte("s"), MinSecret) //nolint:gochecknoglobals // a constant that has no literal

// self is who a test member is.
type self struct{ member, cluster atomic.Uint64 }

func (s *self) Member() uint64  { return s.member.Load() }
func (s *self) Cluster() uint64 { return s.cluster.Load() }

func someone(member, cluster uint64) *self {
	var s self
	s.member.Store(member)
	s.cluster.Store(cluster)
	return &s
}

// endpoint is a server with what it was told.
type endpoint struct {
	*Server
	self *self
	addr string

	mu       sync.Mutex // guards what follows
	standing map[uint64]Standing
	messages []*raftpb.Message
	data     []byte
	batches  []*raftnode.Batch

	step     func(context.Context, *raftpb.Message) error
	ping     func()
	snapshot func(*raftpb.Message) error
	verdict  raftnode.Verdict
	call     func(ctx context.Context, from uint64, service, method string, body []byte) ([]byte, error)
}

var (
	_ Group = (*endpoint)(nil)
	_ Door  = (*endpoint)(nil)
)

// listen starts a member that knows the members named.
func listen(tb testing.TB, who *self, o ServerOptions, members ...uint64) *endpoint {
	tb.Helper()
	e := &endpoint{self: who, standing: map[uint64]Standing{}}
	for _, id := range members {
		e.standing[id] = Member
	}
	e.serve(tb, o, "127.0.0.1:0")
	e.Open(e)
	return e
}

func (e *endpoint) serve(tb testing.TB, o ServerOptions, addr string) {
	tb.Helper()
	if o.Secret == nil {
		o.Secret = secret
	}
	o.Self, o.Door = e.self, e
	s, err := NewServer(o)
	if err != nil {
		tb.Fatalf("NewServer() = %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	e.Server, e.addr = s, l.Addr().String()
	s.Serve(l)
	tb.Cleanup(s.Close)
}

func (e *endpoint) Standing(id uint64) Standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.standing[id]
}

func (e *endpoint) stands(id uint64, s Standing) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.standing[id] = s
}

func (e *endpoint) Step(ctx context.Context, m *raftpb.Message) error {
	if e.step != nil {
		if err := e.step(ctx, m); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.messages = append(e.messages, m)
	return nil
}

func (e *endpoint) ReceiveSnapshot(_ context.Context, m *raftpb.Message, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.data = data
	e.mu.Unlock()
	if e.snapshot != nil {
		return e.snapshot(m)
	}
	return nil
}

func (e *endpoint) Accept(_ context.Context, b *raftnode.Batch) (raftnode.Verdict, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches = append(e.batches, b)
	return e.verdict, nil
}

func (e *endpoint) Call(ctx context.Context, from uint64, service, method string, body []byte) ([]byte, error) {
	return e.call(ctx, from, service, method, body)
}

func (e *endpoint) Pinged(uint64, *peerv1.PingRequest) *peerv1.PingReply {
	if e.ping != nil {
		e.ping()
	}
	return &peerv1.PingReply{Applied: 42}
}

func (e *endpoint) Describe(context.Context, *peerv1.DescribeRequest) (*peerv1.DescribeReply, error) {
	return &peerv1.DescribeReply{Member: e.self.Member(), Cluster: e.self.Cluster(), Address: e.addr}, nil
}

func (e *endpoint) Join(_ context.Context, r *peerv1.JoinRequest) (*peerv1.JoinReply, error) {
	return &peerv1.JoinReply{Result: peerv1.JoinReply_RESULT_MEMBER, Leader: r.GetProfile().GetAddress()}, nil
}

// of returns what has arrived of a type.
func (e *endpoint) of(t raftpb.MessageType) (out []*raftpb.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.messages {
		if m.GetType() == t {
			out = append(out, m)
		}
	}
	return out
}

// node is what a pool tells raft.
type node struct {
	store *store.Store

	mu     sync.Mutex // guards what follows
	losses []uint64
	gone   []uint64
	sent   []error
}

func (n *node) Unreachable(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.losses = append(n.losses, id)
}

func (n *node) OpenSnapshot(ctx context.Context) (*store.Snapshot, error) {
	return n.store.OpenSnapshot(ctx)
}

func (n *node) SnapshotSent(_ uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, err)
}

func (n *node) lost() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.losses)
}

func (n *node) outcomes() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]error{}, n.sent...)
}

// pool returns a pool of a member, with its node.
func pool(tb testing.TB, who *self, change ...func(*PoolOptions)) (*Pool, *node) {
	tb.Helper()
	o := PoolOptions{Secret: secret, Self: who, Every: 20 * time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	p, err := NewPool(o)
	if err != nil {
		tb.Fatalf("NewPool() = %v", err)
	}
	tb.Cleanup(p.Close)
	n := &node{}
	p.Attach(n)
	return p, n
}

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// eventually polls a condition of another goroutine.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ctx := within(tb)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("never: %s", what)
		}
	}
}

// reaches waits until both connections to a member are open.
func reaches(tb testing.TB, p *Pool, id uint64) {
	tb.Helper()
	eventually(tb, "the member is reached", func() bool {
		x := p.peer(id)
		return x != nil && x.short.up.Load() && x.bulk.up.Load() && x.health().State == Up
	})
}

func message(t raftpb.MessageType, from, to, index uint64) *raftpb.Message {
	return &raftpb.Message{Type: t.Enum(), From: &from, To: &to, Index: &index}
}

// Gone implements Node.
func (n *node) Gone(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = append(n.gone, id)
}

func (n *node) isGone(id uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.gone, id)
}
