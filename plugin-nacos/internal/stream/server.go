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

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Bounds of one message, in bytes: what clients send by default, and an answer
// with content of the largest size, every byte escaped (NAC-TRN-12, NAC-SET-01).
const (
	maxReceive = 10 << 20
	maxSend    = 64 << 20
)

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
	pushers  pushers
	address  string // of this server, as pushes carry it

	mu       sync.Mutex // guards what follows
	conns    map[*Conn]struct{}
	moving   bool
	gone     chan struct{} // closed with the last of conns; nil: nobody waits
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
	out.pushers.ended.L = &out.pushers.mu
	out.builtin()
	return out, err
}

// Options say how its services are served.
func (s *Server) Options() plugin.RPC {
	return plugin.RPC{Codec: newCodec(), MaxReceive: maxReceive, MaxSend: maxSend, Conn: s.connected}
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
	turnAway(ctx context.Context, kind string) error
}

func handleUnary(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the form of grpc
	p := new(nacospb.Payload)
	if err := decode(p); err != nil {
		return nil, err
	}
	if err := srv.(caller).turnAway(ctx, p.GetMetadata().GetType()); err != nil { //nolint:forcetypeassert // as registered
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
	s.pushers.wait()
}

// adopt notes a connection that registers; false while clients are to go (NAC-CON-08),
// and for a transport that ended meanwhile.
func (s *Server) adopt(c *Conn) bool {
	s.mu.Lock()
	if s.moving || s.draining {
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
	if s.gone != nil && len(s.conns) == 0 {
		close(s.gone)
		s.gone = nil
	}
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

// connected gives every transport its Conn (NAC-SET-02). The end of the transport is
// the end of the registration (NAC-CON-37).
func (s *Server) connected(ctx context.Context, remote net.Addr) (context.Context, func()) {
	c := newConn(s, remote, time.Now())
	return context.WithValue(ctx, connKey{}, c), c.close
}

type connKey struct{}

func connOf(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}
