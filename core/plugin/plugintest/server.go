package plugintest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

// The deadlines of a plugin's life; each is far above what a healthy one needs.
const (
	startLimit = 30 * time.Second
	drainLimit = 5 * time.Second
	stopLimit  = 5 * time.Second
)

// Settings of a Server; the zero value is a plugin with its defaults on a fresh
// node.
type Settings struct {
	Dir     string               // data directory; empty: one that the test removes
	Values  map[string]any       // the plugin's section of the configuration
	Auth    core.Auth            // passwords cost the least unless it says what they cost
	Logger  *zap.Logger          // nil: none
	Metrics *prometheus.Registry // nil: a new one
	// Node, when not nil, is what the plugin stands on: one of a cluster, say. It
	// is the caller's, who closes it after the Server; Dir and Auth mean nothing.
	Node *core.Node
}

// Server is one plugin at work.
type Server struct {
	node     *core.Node
	lent     bool // node is the caller's
	manifest plugin.Manifest
	host     *inproc.Host
	instance plugin.Instance

	sockets []net.Listener
	http    map[string]*http.Server // by listener, as all below
	grpc    map[string]*grpc.Server
	addrs   map[string]net.Addr
	rpcs    map[string]net.Addr
	stop    context.CancelFunc // ends Serve and ServePacket
	serving context.Context    //nolint:containedctx // the life of the protocols that the plugin serves itself
	group   sync.WaitGroup

	mu     sync.Mutex // guards faults
	faults []error

	once   sync.Once
	closed error
}

// Start returns p at work: attached, started, ready, its listeners open on
// loopback. It ends with the test.
func Start(tb testing.TB, p plugin.Plugin, s Settings) *Server {
	tb.Helper()
	if s.Dir == "" {
		s.Dir = tb.TempDir()
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	out, err := started(ctx, p, s)
	if err != nil {
		tb.Fatalf("plugintest.Start() = %v", err)
	}
	tb.Cleanup(func() { _ = out.Close() })
	return out
}

// started is a plugin that serves.
func started(ctx context.Context, p plugin.Plugin, s Settings) (*Server, error) {
	out, err := built(ctx, p, s)
	if err != nil {
		return nil, err
	}
	if err := out.start(ctx); err != nil {
		return nil, errors.Join(err, out.end(ctx))
	}
	return out, nil
}

// built is a plugin at the end of New.
func built(ctx context.Context, p plugin.Plugin, s Settings) (*Server, error) {
	out, err := prepared(ctx, p, s)
	if err != nil {
		return nil, err
	}
	if err := out.build(ctx, p); err != nil {
		return nil, errors.Join(err, out.end(ctx))
	}
	return out, nil
}

// prepared is a node and a host for a plugin.
func prepared(ctx context.Context, p plugin.Plugin, s Settings) (*Server, error) {
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Metrics == nil {
		s.Metrics = prometheus.NewRegistry()
	}
	m := p.Manifest()
	config, err := inproc.Section{Path: "plugins." + m.Name, Values: s.Values}.Decode(m.Config)
	if err != nil {
		return nil, err
	}
	if s.Auth.PasswordCost == 0 {
		s.Auth.PasswordCost = bcrypt.MinCost
	}
	node := s.Node
	if node == nil {
		node, err = core.Start(ctx, core.Config{DataDir: s.Dir, Durability: core.OS, Auth: s.Auth, Logger: s.Logger, Metrics: s.Metrics})
		if err != nil {
			return nil, err
		}
	}
	out := &Server{
		node: node, lent: s.Node != nil, manifest: m, http: map[string]*http.Server{}, grpc: map[string]*grpc.Server{},
		addrs: map[string]net.Addr{}, rpcs: map[string]net.Addr{},
	}
	out.serving, out.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := out.attach(ctx, config, s); err != nil {
		return nil, errors.Join(err, out.end(ctx))
	}
	return out, nil
}

func (s *Server) attach(ctx context.Context, config plugin.Config, settings Settings) error {
	attached, err := s.node.Attach(ctx, s.manifest.Name, s.manifest.Tables)
	if err != nil {
		return err
	}
	points, err := inproc.Connect([]plugin.Manifest{s.manifest})
	if err != nil {
		return err
	}
	prefixes := map[string][]string{}
	for _, m := range s.manifest.Mounts {
		prefixes[m.Name] = m.Prefixes
	}
	s.host = inproc.NewHost(inproc.Settings{
		Manifest: s.manifest, Core: attached, Config: config, Prefixes: prefixes, Points: points,
		Encoders: new(inproc.Encoders), Logger: settings.Logger.Named(s.manifest.Name), Metrics: settings.Metrics,
		Leads: s.leads,
	})
	return nil
}

// build calls New.
func (s *Server) build(ctx context.Context, p plugin.Plugin) (err error) {
	if s.instance, err = p.New(ctx, s.host); err != nil {
		return fmt.Errorf("new: %w", err)
	}
	s.host.Seal()
	return nil
}

func (s *Server) leads() bool { return s.node.Leads() }

// start takes a built plugin to the point where it serves.
func (s *Server) start(ctx context.Context) error {
	if err := s.instance.Start(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.host.StartWorkers()
	if err := inproc.Await(ctx, s.instance); err != nil {
		return err
	}
	return s.serve(ctx)
}

// Node is the node that the plugin stands on.
func (s *Server) Node() *core.Node { return s.node }

// URL is where a listener serves HTTP, as http://127.0.0.1:port; the paths below
// it are those of the mounts. Empty when no mount is there.
func (s *Server) URL(listener string) string {
	if s.http[listener] == nil {
		return ""
	}
	return "http://" + s.addrs[listener].String()
}

// GRPC is the address at which a listener serves gRPC without TLS, empty when it
// does not. HTTP of the same listener has another port here.
func (s *Server) GRPC(listener string) string { return text(s.rpcs[listener]) }

// Addr is the address of a listener that the plugin serves itself.
func (s *Server) Addr(listener string) string { return text(s.addrs[listener]) }

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// Drain asks the plugin to answer what is parked; nil when it cannot.
func (s *Server) Drain(ctx context.Context) error {
	if d, ok := s.instance.(plugin.Drainer); ok {
		return d.Drain(ctx)
	}
	return nil
}

// Close takes the plugin down as a server does: drain, listeners, workers,
// Shutdown, node. It is idempotent; the error names everything that went wrong,
// handlers that panicked before included.
func (s *Server) Close() error { return s.end(context.Background()) }

// end is Close; ctx is not obeyed, everything has a limit of its own.
func (s *Server) end(ctx context.Context) error {
	s.once.Do(func() {
		var errs []error
		step := func(name string, limit time.Duration, do func(context.Context) error) {
			if err := within(ctx, limit, do); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		if s.instance != nil {
			step("drain", drainLimit, s.Drain)
		}
		step("close listeners", stopLimit, s.unserve)
		if s.host != nil {
			step("stop workers", stopLimit, func(context.Context) error { s.host.StopWorkers(); return nil })
		}
		if s.instance != nil {
			step("shutdown", stopLimit, s.instance.Shutdown)
		}
		if !s.lent {
			errs = append(errs, s.node.Close())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = errors.Join(append(errs, s.faults...)...)
	})
	return s.closed
}

// within runs do under a limit that it must keep, and nothing else ends.
func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	done := make(chan error, 1) // capacity 1: nobody may wait any more
	go func() { done <- do(ctx) }()
	late := time.NewTimer(limit + time.Second)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("still running a second after its limit of %s", limit)
	}
}
