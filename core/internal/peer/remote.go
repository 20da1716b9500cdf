package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

const (
	// windowSize is what may be under way on a stream: enough for a few appends.
	windowSize = 4 << 20
	// downAfter is how many pings in a row fail before a member is down
	// (NAD-CLU-12).
	downAfter = 4
	// renewAfter is how many fail, and stalled how long a connection has brought
	// nothing, before it is made anew: one that a partition has stalled may take
	// long to find out. One that is only slow is left alone, and with it what is
	// under way.
	renewAfter = 3
	stalled    = 3 * time.Second
)

// remotePeer is one other member. Its goroutines end with its context.
type remotePeer struct {
	pool    *Pool
	id      uint64
	address string
	since   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	short   *channel
	bulk    *channel
	snap    chan *raftpb.Message // capacity 1: raft sends one at a time
	breaker breaker

	mu      sync.Mutex // guards what follows
	state   State
	contact time.Time
	rtt     time.Duration
	fails   int
	err     error
	applied uint64
	refusal error // of the last dial
	over    bool  // nobody sends snapshots any more
}

// start returns a member whose goroutines run. The caller holds the pool's mu.
func (p *Pool) start(id uint64, address string) *remotePeer {
	x := &remotePeer{pool: p, id: id, address: address, snap: make(chan *raftpb.Message, 1), state: Suspect, since: time.Now()}
	x.ctx, x.cancel = context.WithCancel(p.ctx)
	x.short, x.bulk = newChannel(x, short, shortLane), newChannel(x, bulk, bulkLane)
	for _, run := range []func(){
		func() { x.short.run(x.ctx) }, func() { x.bulk.run(x.ctx) }, x.sendSnapshots, x.pings,
	} {
		p.wg.Go(run)
	}
	return x
}

// send queues a message; false when it was dropped.
func (x *remotePeer) send(m *raftpb.Message) bool {
	switch m.GetType() {
	case raftpb.MsgSnap:
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.over {
			return false
		}
		select {
		case x.snap <- m:
			return true
		default:
			return false
		}
	case raftpb.MsgApp:
		return x.bulk.offer(m)
	default:
		return x.short.offer(m)
	}
}

// shortCall is the most bytes of a call that travels beside heartbeats.
const shortCall = 64 << 10

// client returns what can make a call of a size at once; nil when nothing can.
func (x *remotePeer) client(size int) peerv1.PeerClient {
	if size > shortCall {
		return x.bulk.ready()
	}
	return x.short.ready()
}

// dial makes a connection that is opened in the background, and again when it
// is lost.
func (x *remotePeer) dial(c *channel) (*grpc.ClientConn, error) {
	return x.pool.client(x.address, x.id, x.dialed, &c.heard)
}

// client returns a connection to a member; want may be 0 for any. heard, when not
// nil, is kept at the time of the last byte from there.
func (p *Pool) client(address string, want uint64, failed func(error), heard *pulse) (*grpc.ClientConn, error) {
	c := &creds{handshaker: p.shake, self: p.o.Self, tls: clientTLS(p.o.TLS, p.cert), want: want, failed: failed}
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(c),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := p.o.Dial(ctx, address)
			if err != nil && failed != nil {
				failed(err)
			}
			if err == nil && heard != nil {
				heard.beat()
				conn = &listened{conn, heard}
			}
			return conn, err
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithIdleTimeout(0),
		grpc.WithInitialWindowSize(windowSize), grpc.WithInitialConnWindowSize(2*windowSize),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
	)
}

// dialed keeps why a connection could not be opened, and says so once.
func (x *remotePeer) dialed(err error) {
	x.mu.Lock()
	x.refusal = err
	x.mu.Unlock()
	if n := x.pool.node.Load(); n != nil && errors.Is(err, syscall.ECONNREFUSED) {
		(*n).Gone(x.id)
	}
	var foreign *ForeignError
	var other *OtherError
	if !errors.Is(err, ErrSecret) && !errors.As(err, &foreign) && !errors.As(err, &other) {
		return
	}
	if x.pool.meters.warned.now(err.Error()) {
		x.pool.o.Logger.Warn("member cannot be reached", zap.String("member", fmt.Sprintf("%016x", x.id)),
			zap.String("address", x.address), zap.Error(err))
	}
}

// pings keeps the health of the member.
func (x *remotePeer) pings() {
	tick := time.NewTicker(x.pool.o.Every)
	defer tick.Stop()
	for {
		x.ping()
		select {
		case <-tick.C:
		case <-x.ctx.Done():
			return
		}
	}
}

func (x *remotePeer) ping() {
	ctx, cancel := context.WithTimeout(x.ctx, x.pool.o.Every)
	defer cancel()
	begin := time.Now()
	r, err := x.ask(ctx)
	if x.ctx.Err() != nil {
		return
	}
	if err != nil {
		x.failed(err)
		return
	}
	state := Up
	if r.GetLeaving() {
		state = Leaving
	}
	x.mu.Lock()
	before := x.state
	x.state, x.contact, x.rtt, x.fails, x.err, x.refusal = state, time.Now(), time.Since(begin), 0, nil, nil
	x.applied = r.GetApplied()
	x.mu.Unlock()
	if before != Up && before != Leaving {
		x.breaker.back(time.Now())
	}
	x.changed(before, state, nil)
}

func (x *remotePeer) ask(ctx context.Context) (*peerv1.PingReply, error) {
	l := x.short.link.Load()
	if l == nil {
		return nil, errNoLink
	}
	return l.client.Ping(ctx, &peerv1.PingRequest{Leaving: x.pool.leaving.Load()}, grpc.WaitForReady(x.fresh()))
}

var errNoLink = errors.New("no connection")

// fresh says whether the member has not been reached so far: then its first ping
// waits for the connection.
func (x *remotePeer) fresh() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.contact.IsZero() && x.fails == 0
}

func (x *remotePeer) failed(err error) {
	if status.Code(err) == codes.PermissionDenied && x.pool.o.Removed != nil {
		x.pool.o.Removed(x.id)
	}
	x.mu.Lock()
	before := x.state
	x.fails++
	if x.refusal != nil && status.Code(err) != codes.FailedPrecondition {
		err = x.refusal
	}
	x.err = err
	x.state = Suspect
	if x.fails >= downAfter || errors.Is(err, syscall.ECONNREFUSED) {
		x.state = Down
	}
	after, renew := x.state, x.fails >= renewAfter
	x.mu.Unlock()
	if renew && x.short.heard.silence() >= stalled {
		if x.bulk.heard.silence() >= stalled {
			x.bulk.renew()
		}
		x.short.renew()
	}
	x.changed(before, after, err)
}

func (x *remotePeer) changed(before, after State, err error) {
	if before == after {
		return
	}
	x.pool.o.Logger.Info("member is "+after.String(), zap.String("member", fmt.Sprintf("%016x", x.id)),
		zap.String("address", x.address), zap.Error(err))
	if x.pool.o.Changed != nil {
		x.pool.o.Changed()
	}
}

// tripped tells of a breaker that has opened, for what reason, or closed.
func (x *remotePeer) tripped(err error) {
	logger := x.pool.o.Logger.With(zap.String("member", fmt.Sprintf("%016x", x.id)), zap.String("address", x.address))
	if err == nil {
		logger.Info("breaker of a member is closed")
		return
	}
	x.pool.meters.opened.Inc()
	logger.Warn("breaker of a member is open", zap.Error(err))
}

func (x *remotePeer) health() Health {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := Health{
		ID: x.id, Address: x.address, State: x.state, Contact: x.contact, RTT: x.rtt, Fails: x.fails,
		Breaker: x.breaker.state(time.Now()), Applied: x.applied, Heard: x.contact,
	}
	if x.contact.IsZero() {
		h.Heard = x.since
	}
	if x.err != nil {
		h.Error = x.err.Error()
	}
	return h
}

// String implements fmt.Stringer.
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Suspect:
		return "suspect"
	case Down:
		return "down"
	case Leaving:
		return "leaving"
	}
	return "unknown"
}
