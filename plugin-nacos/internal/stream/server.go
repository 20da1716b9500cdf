package stream

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Bounds of one message, in bytes: what clients send by default, and an answer
// with content of the largest size, every byte escaped (NAC-TRN-12, NAC-SET-01).
const (
	maxReceive = 10 << 20
	maxSend    = 64 << 20
)

// Windows of flow control, in bytes: what a peer may send before it is read.
const (
	streamWindow = 256 << 10
	connWindow   = 1 << 20
)

// readBuffer is what every connection holds, in bytes: room for the calls of a
// client at rest. Longer ones are read past it.
const readBuffer = 4 << 10

// streamWorkers are goroutines that go on from call to call, so that stacks that
// have grown are used again. When all are busy a call gets its own.
const streamWorkers = 512

// maxStreams bounds the calls that one connection may have open (SEC-20); its
// bi-stream is one of them. Clients wait with what is more.
const maxStreams = 128

// Settings are what a Server stands on.
type Settings struct {
	Gate    *authmap.Gate
	Logger  *zap.Logger
	Metrics prometheus.Registerer
	// Ready says why the server cannot answer yet (NAC-CON-02).
	Ready func(context.Context) error
	// Abilities is what this server can do (NAC-CON-20..24).
	Abilities map[string]bool
}

// Server holds the connections and the handlers. All methods but Handle are safe
// for concurrent use.
type Server struct {
	nacospb.UnimplementedBiRequestStreamServer

	gate     *authmap.Gate
	logger   *zap.Logger
	meters   *meters
	ready    func(context.Context) error
	started  atomic.Bool
	setupAck []byte
	handlers map[string]Handler
	requests atomic.Uint64 // the last request id
	address  string        // of this server, as pushes carry it

	mu       sync.Mutex // guards conns and draining
	conns    map[*Conn]struct{}
	draining bool
}

// New builds a Server without handlers.
func New(s Settings) (*Server, error) {
	ack, err := json.Marshal(struct {
		Module    string          `json:"module"`
		Abilities map[string]bool `json:"abilityTable"`
	}{"internal", s.Abilities})
	if err != nil {
		return nil, err //nolint:wrapcheck // cannot be: a map of bools
	}
	out := &Server{
		gate: s.Gate, logger: s.Logger, ready: s.Ready, setupAck: ack,
		handlers: map[string]Handler{}, conns: map[*Conn]struct{}{},
	}
	out.meters, err = newMeters(s.Metrics, out.Count)
	out.builtin()
	return out, err
}

// Options are the options of the gRPC server that serves it.
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxSendMsgSize(maxSend),
		grpc.StatsHandler(tagger{s}),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ReadBufferSize(readBuffer),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ForceServerCodecV2(newCodec()),
		// Fixed windows: measuring the line would cost a ping and its answer with
		// almost every call.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		// Clients ping every few seconds, some without a call (NAC-TRN-13).
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 2 * time.Minute, Timeout: 20 * time.Second, // to find dead peers
			MaxConnectionIdle: 10 * time.Minute, // those that never registered, or were told to leave
		}),
	}
}

// Register adds the two services.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	r.RegisterService(&unary, s)
	nacospb.RegisterBiRequestStreamServer(r, s)
}

// unary is the service of calls. It is not the generated one, so that answers can
// be made of shared parts.
var unary = grpc.ServiceDesc{ //nolint:gochecknoglobals // a constant
	ServiceName: nacospb.Request_ServiceDesc.ServiceName,
	HandlerType: (*caller)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "request", Handler: handleUnary}},
	Metadata:    nacospb.Request_ServiceDesc.Metadata,
}

type caller interface {
	Call(ctx context.Context, p *nacospb.Payload) Answer
}

func handleUnary(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the form of grpc
	p := new(nacospb.Payload)
	if err := decode(p); err != nil {
		return nil, err
	}
	call := func(ctx context.Context, req any) (any, error) {
		a := srv.(caller).Call(ctx, req.(*nacospb.Payload)) //nolint:forcetypeassert // as registered
		return &message{kind: a.Type, parts: [3][]byte{a.Body, a.Shared, a.End}}, nil
	}
	if interceptor == nil {
		return call(ctx, p)
	}
	return interceptor(ctx, p, &grpc.UnaryServerInfo{Server: srv, FullMethod: nacospb.Request_Request_FullMethodName}, call)
}

// Count is the number of registered connections.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Conns lists the registered connections.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// Drain ends all streams, so that clients go elsewhere, and refuses new ones.
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	for _, c := range s.Conns() {
		c.close()
	}
}

// adopt notes a connection that registers; false while draining (NAC-CON-08),
// and for a transport that ended meanwhile.
func (s *Server) adopt(c *Conn) bool {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return false
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if c.isClosed() {
		s.forget(c)
		return false
	}
	return true
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// drop ends a connection for what its client did not do.
func (s *Server) drop(c *Conn, why string) {
	s.meters.drops.Inc()
	s.logger.Info("connection dropped", zap.String("connection", c.id), zap.String("reason", why))
	c.close()
}

func (s *Server) nextID() uint64 { return s.requests.Add(1) }

// isReady asks until the answer was yes once.
func (s *Server) isReady(ctx context.Context) bool {
	if s.started.Load() {
		return true
	}
	if s.ready(ctx) != nil {
		return false
	}
	s.started.Store(true)
	return true
}

// tagger gives every transport its Conn (NAC-SET-02).
type tagger struct{ server *Server }

type connKey struct{}

var _ stats.Handler = tagger{}

// TagConn implements stats.Handler.
func (t tagger) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	addr := info.RemoteAddr
	if addr == nil {
		addr = &net.TCPAddr{}
	}
	return context.WithValue(ctx, connKey{}, newConn(t.server, addr, time.Now()))
}

// HandleConn implements stats.Handler: the end of the transport is the end of
// the registration (NAC-CON-37).
func (tagger) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, over := s.(*stats.ConnEnd); !over {
		return
	}
	if c := connOf(ctx); c != nil {
		c.close()
	}
}

// TagRPC implements stats.Handler.
func (tagger) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (tagger) HandleRPC(context.Context, stats.RPCStats) {}

func connOf(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}
