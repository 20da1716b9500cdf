package peer

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/store"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// Node is what a pool tells and asks of raft.
type Node interface {
	Unreachable(id uint64)
	// Gone is told when a member's machine refuses connections: its process has
	// ended, or its port is closed.
	Gone(id uint64)
	OpenSnapshot(ctx context.Context) (*store.Snapshot, error)
	SnapshotSent(to uint64, err error)
}

// PoolOptions wire a Pool; Secret and Self are required.
type PoolOptions struct {
	Secret []byte
	Self   Self
	TLS    *tls.Config // nil: a certificate made at start
	// Dial opens a connection; nil: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Every is the pause between pings of one member: 1s.
	Every time.Duration
	// Removed is called when another member says that this one is not in the
	// cluster any more.
	Removed func(by uint64)
	// Changed is called when the health of a member has changed.
	Changed func()
	Logger  *zap.Logger
	Meters  prometheus.Registerer
}

// Pool speaks to the other members.
type Pool struct {
	o      PoolOptions
	shake  handshaker
	cert   tls.Certificate
	meters *meters
	node   atomic.Pointer[Node]
	losses chan uint64 // messages to the member were lost; a report is enough for many

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	leaving atomic.Bool
	peers   atomic.Pointer[map[uint64]*remotePeer]
	mu      sync.Mutex // guards changes of peers, and closed
	closed  bool
}

var _ raftnode.Transport = (*Pool)(nil)

// NewPool returns a pool that knows nobody.
func NewPool(o PoolOptions) (*Pool, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Every = cmp.Or(o.Every, time.Second)
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	h, err := newHandshaker(o.Secret)
	if err != nil {
		return nil, err
	}
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	p := &Pool{o: o, shake: h, cert: cert, losses: make(chan uint64, 64)}
	p.meters = newMeters(p, o.Meters)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.peers.Store(&map[uint64]*remotePeer{})
	p.wg.Go(p.report)
	return p, nil
}

// Attach names the node that is told of losses and opens snapshots.
func (p *Pool) Attach(n Node) { p.node.Store(&n) }

// Update makes the members with these addresses the ones that are known; this
// one is skipped. It does not wait for connections.
func (p *Pool) Update(members map[uint64]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	old := *p.peers.Load()
	now := make(map[uint64]*remotePeer, len(members))
	for id, address := range members {
		if id == p.o.Self.Member() || address == "" {
			continue
		}
		if x := old[id]; x != nil && x.address == address {
			now[id] = x
			continue
		}
		now[id] = p.start(id, address)
	}
	p.peers.Store(&now)
	for id, x := range old {
		if now[id] != x {
			x.cancel()
		}
	}
}

// Close ends every connection and waits for the goroutines. It is idempotent.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.peers.Store(&map[uint64]*remotePeer{})
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// Leaving makes pings say that this member is about to stop.
func (p *Pool) Leaving() { p.leaving.Store(true) }

// IsLeaving says whether it does.
func (p *Pool) IsLeaving() bool { return p.leaving.Load() }

func (p *Pool) peer(id uint64) *remotePeer { return (*p.peers.Load())[id] }

// Send implements raftnode.Transport.
func (p *Pool) Send(ms []*raftpb.Message) {
	for _, m := range ms {
		x := p.peer(m.GetTo())
		if x == nil || !x.send(m) {
			p.meters.dropped.Inc()
			p.lost(m)
		}
	}
}

// lost reports a message that was dropped. It does not wait.
func (p *Pool) lost(m *raftpb.Message) {
	if m.GetType() == raftpb.MsgSnap {
		// Raft waits for the outcome of every snapshot.
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := p.node.Load(); n != nil && !p.closed {
			p.wg.Go(func() { (*n).SnapshotSent(m.GetTo(), raftnode.ErrUnsent) })
		}
		return
	}
	if m.GetType() == raftpb.MsgApp {
		p.loss(m.GetTo(), bulk)
	}
}

// loss reports appends to a member that were lost; what is short, raft repeats
// by itself.
func (p *Pool) loss(id uint64, lane uint32) {
	if lane != bulk {
		return
	}
	select {
	case p.losses <- id:
	default:
	}
}

// report tells raft of losses.
func (p *Pool) report() {
	for {
		select {
		case id := <-p.losses:
			if n := p.node.Load(); n != nil {
				(*n).Unreachable(id)
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// Propose implements raftnode.Transport.
func (p *Pool) Propose(ctx context.Context, to uint64, b *raftnode.Batch) (raftnode.Verdict, error) {
	x := p.peer(to)
	if x == nil {
		return raftnode.Verdict{}, raftnode.ErrUnsent
	}
	size := 0
	for _, c := range b.Commands {
		size += len(c)
	}
	client := x.client(size)
	if client == nil {
		return raftnode.Verdict{}, raftnode.ErrUnsent
	}
	r, err := client.Propose(ctx, &peerv1.ProposeRequest{
		Term: b.Term, Origin: b.Origin, Seq: b.Seq, Low: b.Low, Commands: b.Commands,
	})
	if err != nil {
		return raftnode.Verdict{}, fmt.Errorf("propose to member %016x: %w", to, err)
	}
	return raftnode.Verdict{Taken: int(r.GetTaken()), Reason: raftnode.Refusal(r.GetReason())}, nil
}

// Health is what is known of another member by its pings.
type Health struct {
	ID      uint64
	Address string
	State   State
	Contact time.Time // last answer; zero: none so far
	Heard   time.Time // the same; when none so far, since when one is asked for
	RTT     time.Duration
	Fails   int // pings in a row that failed
	Breaker Breaker
	Error   string // of the last ping that failed
	Applied uint64
}

// State is how well a member is reached.
type State uint8

const (
	// Up is a member that answers.
	Up State = iota + 1
	// Suspect is one that has not answered the last ping, or none yet.
	Suspect
	// Down is one that has not answered several, or refuses connections.
	Down
	// Leaving is one that answers and says that it is about to stop.
	Leaving
)

// Health returns what is known of each other member, by id.
func (p *Pool) Health() []Health {
	peers := *p.peers.Load()
	out := make([]Health, 0, len(peers))
	for _, id := range slices.Sorted(maps.Keys(peers)) {
		out = append(out, peers[id].health())
	}
	return out
}
