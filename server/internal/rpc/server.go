package rpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto" // also registers it
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Options say how the services of one registration are served.
type Options struct {
	Codec      encoding.CodecV2 // nil: protobuf
	MaxReceive int              // bytes of a message; 0: 4 MiB
	MaxSend    int              // 0: no limit
	Unary      grpc.UnaryServerInterceptor
	Stream     grpc.StreamServerInterceptor
}

// Settings of a Server.
type Settings struct {
	Logger *zap.Logger
	// Conn is called for each connection, in the goroutine that reads it. Handlers
	// get what derives from its context; the function it returns is called when the
	// connection has ended. Nil: nothing is.
	Conn func(ctx context.Context, remote net.Addr) (context.Context, func())
	// Times; zero: those of a server.
	times times
}

// times are what silence is measured by.
type times struct {
	tick  time.Duration // how often connections are looked at
	greet time.Duration // until the first frame of a client
	ping  time.Duration // of silence, before it is asked whether it lives
	pong  time.Duration // for its answer
	idle  time.Duration // without a call, before it is told to go
	write time.Duration // for a client to read some of what it asked for
}

const defaultReceive = 4 << 20

func (t *times) defaults() {
	if t.tick == 0 {
		*t = times{
			tick: 5 * time.Second, greet: 10 * time.Second, ping: 2 * time.Minute, pong: 20 * time.Second,
			idle: 10 * time.Minute, write: 30 * time.Second,
		}
	}
}

// Server serves the connections of one listener. Register everything first; its
// other methods are safe for concurrent use.
type Server struct {
	logger   *zap.Logger
	settings Settings
	methods  map[string]*method // by path; never changes while serving
	keys     keys
	workers  workers
	buffers  sync.Pool    // of *[readSize]byte
	arenas   sync.Pool    // of *[]byte, what is written
	clock    atomic.Int64 // ticks so far

	mu       sync.Mutex // guards what follows
	conns    map[*conn]struct{}
	listener net.Listener
	stopping bool
	empty    chan struct{} // made by Shutdown, closed when the last connection has ended
	ended    chan struct{} // closed when stopping begins
	group    sync.WaitGroup
}

var _ grpc.ServiceRegistrar = (*Registration)(nil)

// New returns a server without services.
func New(s Settings) *Server {
	s.times.defaults()
	out := &Server{
		logger: s.Logger, settings: s, methods: map[string]*method{}, keys: findKeys(),
		conns: map[*conn]struct{}{}, ended: make(chan struct{}),
	}
	out.workers.group = &out.group
	out.buffers.New = func() any { return new([readSize]byte) }
	out.arenas.New = func() any {
		b := make([]byte, 0, arenaSize)
		return &b
	}
	return out
}

// ErrStopped is what Serve returns after Shutdown.
var ErrStopped = errors.New("rpc: server stopped")

// Serve accepts connections until Shutdown, and returns when all that it served
// has ended. That somebody closes the listener ends it with Shutdown only.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return ErrStopped
	}
	s.listener = l
	s.mu.Unlock()
	s.group.Go(s.lookAfter)
	for {
		c, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			stopping := s.stopping
			s.mu.Unlock()
			if !stopping && !errors.Is(err, net.ErrClosed) {
				return err
			}
			<-s.ended
			s.group.Wait()
			return ErrStopped
		}
		s.take(c)
	}
}

// take serves one connection.
func (s *Server) take(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.group.Go(c.serve)
	s.mu.Unlock()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// lookAfter finds connections that say nothing.
func (s *Server) lookAfter() {
	t := time.NewTicker(s.settings.times.tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.clock.Add(1)
			for _, c := range s.all() {
				c.look()
			}
		case <-s.ended:
			return
		}
	}
}

// ticks is a duration in looks.
func (s *Server) ticks(d time.Duration) int64 { return int64(d / s.settings.times.tick) }

// Shutdown accepts nothing more, tells clients to go elsewhere and lets calls
// under way end. What has not ended when ctx does is cut. It returns when all
// connections have ended; handlers may take longer, see Serve.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	first := !s.stopping
	s.stopping = true
	empty := make(chan struct{})
	switch {
	case len(s.conns) == 0:
		close(empty)
	case s.empty == nil:
		s.empty = empty
	default:
		empty = s.empty
	}
	listener := s.listener
	s.mu.Unlock()
	if first {
		close(s.ended)
		s.workers.end()
	}
	if listener != nil {
		_ = listener.Close()
	}
	for _, c := range s.all() {
		c.retire()
	}
	// A client that does not answer the ping is told so after a while.
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for {
		select {
		case <-empty:
			return
		case <-late.C:
			for _, c := range s.all() {
				c.retired()
			}
		case <-ctx.Done():
			for _, c := range s.all() {
				c.cut()
			}
			<-empty
			return
		}
	}
}

// keys are under which the packages of grpc look for values in a context, so that
// the context of a call answers them without a chain of contexts.
type keys struct{ metadata, peer, stream any }

// probe notes the key that it is asked for.
type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

func findKeys() keys {
	key := func(ask func(context.Context)) any {
		p := &probe{Context: context.Background()}
		ask(p)
		return p.key
	}
	return keys{
		metadata: key(func(ctx context.Context) { metadata.FromIncomingContext(ctx) }),
		peer:     key(func(ctx context.Context) { peer.FromContext(ctx) }),
		stream:   key(func(ctx context.Context) { grpc.ServerTransportStreamFromContext(ctx) }),
	}
}

// method is one of a service.
type method struct {
	path    string
	options *Options
	service any
	unary   *grpc.MethodDesc
	stream  *grpc.StreamDesc
}

// Registration adds services with options of their own.
type Registration struct {
	server  *Server
	options *Options
}

// With returns what services are registered on.
func (s *Server) With(o Options) *Registration {
	if o.Codec == nil {
		o.Codec = encoding.GetCodecV2(protocodec.Name)
	}
	if o.MaxReceive == 0 {
		o.MaxReceive = defaultReceive
	}
	return &Registration{server: s, options: &o}
}

// RegisterService implements grpc.ServiceRegistrar.
func (r *Registration) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for i := range desc.Methods {
		m := &desc.Methods[i]
		r.add(&method{path: "/" + desc.ServiceName + "/" + m.MethodName, unary: m, service: impl})
	}
	for i := range desc.Streams {
		m := &desc.Streams[i]
		r.add(&method{path: "/" + desc.ServiceName + "/" + m.StreamName, stream: m, service: impl})
	}
}

func (r *Registration) add(m *method) {
	m.options = r.options
	r.server.methods[m.path] = m
}
