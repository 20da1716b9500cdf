package peer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// The lanes.
const (
	short uint32 = iota + 1
	bulk
)

const (
	// shortLane is the queue of heartbeats, votes and acknowledgements, bulkLane
	// that of appends, as many as raft has under way at most.
	shortLane = 4096
	bulkLane  = 256
	// maxJoin and maxJoinCount are how much is joined into one batch.
	maxJoin      = 1 << 20
	maxJoinCount = 64
	// The pauses between attempts to open a stream.
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// channel is one connection to a member, and the messages of raft on it. One
// goroutine owns it.
type channel struct {
	peer  *remotePeer
	lane  uint32
	queue chan *raftpb.Message
	up    atomic.Bool // a stream takes messages
	link  atomic.Pointer[link]
	heard pulse
}

// link is one life of a connection.
type link struct {
	ctx    context.Context
	cancel context.CancelFunc
	conn   *grpc.ClientConn
	client peerv1.PeerClient
}

func newLink(ctx context.Context, conn *grpc.ClientConn) *link {
	l := &link{conn: conn, client: peerv1.NewPeerClient(conn)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

func newChannel(x *remotePeer, lane uint32, length int) *channel {
	return &channel{peer: x, lane: lane, queue: make(chan *raftpb.Message, length), heard: pulse{begun: time.Now()}}
}

// offer queues a message; false when nobody takes it.
func (c *channel) offer(m *raftpb.Message) bool {
	if !c.up.Load() {
		return false
	}
	select {
	case c.queue <- m:
		return true
	default:
		return false
	}
}

// ready returns a client that can send at once; nil when there is none.
func (c *channel) ready() peerv1.PeerClient {
	l := c.link.Load()
	if l == nil {
		return nil
	}
	switch l.conn.GetState() {
	case connectivity.Ready:
		return l.client
	case connectivity.Idle:
		// It was lost, and a stream that sends nothing does not notice.
		l.conn.Connect()
	default:
	}
	return nil
}

// renew makes the connection open anew.
func (c *channel) renew() {
	if l := c.link.Load(); l != nil {
		c.heard.beat() // the next one has its time too
		l.cancel()
	}
}

// run keeps a connection and a stream open until ctx ends.
func (c *channel) run(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := c.peer.dial(c)
		if err != nil {
			c.peer.pool.o.Logger.Error("connection to a member", zap.String("address", c.peer.address), zap.Error(err))
			rest(ctx, lastPause)
			continue
		}
		l := newLink(ctx, conn)
		c.link.Store(l)
		c.streams(l) //nolint:contextcheck // the link has it
		c.link.Store(nil)
		l.cancel()
		_ = conn.Close() // it was ours alone
	}
}

// streams opens one stream after another until the link ends.
func (c *channel) streams(l *link) {
	pause := firstPause
	for l.ctx.Err() == nil {
		lived, err := c.stream(l)
		if lived > lastPause {
			pause = firstPause
		}
		if l.ctx.Err() == nil {
			c.peer.pool.o.Logger.Debug("stream ended", zap.String("address", c.peer.address), zap.Uint32("lane", c.lane), zap.Error(err))
		}
		rest(l.ctx, pause)
		pause = min(2*pause, lastPause)
	}
}

// stream opens one and says how long it took messages, and why it ended.
func (c *channel) stream(l *link) (lived time.Duration, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	stream, err := l.client.Raft(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&peerv1.RaftBatch{Lane: c.lane}); err != nil {
		return 0, end(err, func() error { _, err := stream.CloseAndRecv(); return err })
	}
	// The other end says nothing until the stream is over; then it is noticed at
	// once, and not by the next message.
	over := make(chan error, 1)
	c.peer.pool.wg.Go(func() { over <- stream.RecvMsg(new(peerv1.RaftEnd)) })
	begin := time.Now()
	c.up.Store(true)
	err = end(c.pump(ctx, stream, over), func() error { return <-over })
	c.up.Store(false)
	c.drop()
	return time.Since(begin), err
}

// rest waits for d or the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// errOver reports that the other end has ended a stream.
var errOver = errors.New("ended by the other end")

// pump sends what is queued, what waits together in one batch.
func (c *channel) pump(ctx context.Context, stream peerv1.Peer_RaftClient, over <-chan error) error {
	for {
		var m *raftpb.Message
		select {
		case m = <-c.queue:
		case err := <-over:
			return fmt.Errorf("%w: %s", errOver, status.Convert(err).Message())
		case <-ctx.Done():
			return ctx.Err()
		}
		var raws [][]byte
		for size := 0; m != nil; {
			raw, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			raws = append(raws, raw)
			m = nil
			if size += len(raw); size < maxJoin && len(raws) < maxJoinCount {
				select {
				case m = <-c.queue:
				default:
				}
			}
		}
		// gofail: var peerBeforeSend struct{}
		if err := stream.Send(&peerv1.RaftBatch{Messages: raws}); err != nil {
			c.peer.pool.loss(c.peer.id, c.lane)
			return err
		}
		c.peer.pool.meters.sent.Add(float64(len(raws)))
	}
}

// drop empties the queue: what waited is old by now.
func (c *channel) drop() {
	for {
		select {
		case <-c.queue:
			c.peer.pool.meters.dropped.Inc()
		default:
			c.peer.pool.loss(c.peer.id, c.lane)
			return
		}
	}
}

func unmarshal(b []byte, m proto.Message) error { return proto.Unmarshal(b, m) }
