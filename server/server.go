package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/host"
	"github.com/easynet-cn/batata/server/internal/mux"
	"github.com/easynet-cn/batata/server/internal/observe"
)

// Config is what a server needs; the zero value serves on the default ports from
// ./data.
type Config struct {
	Core core.Config // Logger and Metrics are the server's
	Bind string      // address of all listeners; empty: every one
	Port int         // main port; -1: any free one, and for the others too
	// Sections configure the plugins, by name.
	Sections map[string]map[string]any
	// AllowUnauthenticated serves planes that need no login on every address.
	AllowUnauthenticated bool
	// Confined says why nobody would reach loopback, if so: "in a container".
	Confined string
	Drain    time.Duration // time between not ready and not accepting
	TLS      TLS
	PerIP    int // connections of one address; 0: no limit
	// FirstAdmin is created at the first start, when it has a password.
	FirstAdmin auth.FirstAdmin
	// TokenIsNew says that Core.Auth.SetupToken is to be told, if there is no
	// administrator yet.
	TokenIsNew bool
	// Cluster goes with Core.Peer.
	Cluster Cluster
	Logger  *zap.Logger // nil: none
}

const (
	defaultPort = 8848
	mainKey     = "nacos.server.main.port"
	// startLimit bounds a start, recovery included, but for the wait for other
	// members.
	startLimit = 5 * time.Minute
	// stopLimit bounds a stop.
	stopLimit = 30 * time.Second
)

// Server is one running server.
type Server struct {
	node    *core.Node
	ready   atomic.Pointer[core.Node] // node, once it has started
	host    *host.Host
	forming *core.Forming
	peerOf  func(main string) (string, error)
	workers sync.WaitGroup
	end     context.CancelFunc // of workers
	admin   *admin.Server
	certs   *certificates
	logger  *zap.Logger
	drain   time.Duration
	stopped error
	closed  bool
}

// Run runs a server until ctx ends or it fails.
func Run(ctx context.Context, c Config, plugins ...plugin.Plugin) error {
	s, err := Start(ctx, c, plugins...)
	if err != nil {
		return err
	}
	return errors.Join(s.Wait(ctx), s.Close()) //nolint:contextcheck // ctx has ended
}

// Start returns a server that serves. ctx is for starting only.
func Start(ctx context.Context, c Config, plugins ...plugin.Plugin) (*Server, error) {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Core.Peer.Listen == "" && c.Core.Peer.Listener == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startLimit)
		defer cancel()
	}
	s := &Server{logger: c.Logger, drain: c.Drain, forming: c.Core.Peer.Forming, peerOf: c.Cluster.Peer}
	if err := s.start(ctx, c, plugins); err != nil {
		return nil, errors.Join(err, s.Close()) //nolint:contextcheck // ctx may be why
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, c Config, plugins []plugin.Plugin) (err error) {
	registry := observe.NewRegistry()
	admission := &mux.Admission{Total: fileLimit(s.logger), PerIP: c.PerIP}
	settings := host.Settings{
		Plugins: plugins, Sections: c.Sections, Main: host.Main{Bind: c.Bind, Port: port(c.Port), Key: mainKey},
		AllowOpen: c.AllowUnauthenticated, Confined: c.Confined, Plaintext: !c.TLS.Only, Admission: admission,
		Core: attacher{s}, Logger: s.logger, Metrics: registry,
		System: s.system(registry),
		Retire: func() {
			if s.node != nil {
				s.node.Retire()
			}
		},
	}
	for _, c := range observe.Connections(admission.Open, admission.Refused) {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	if s.certs, err = openCertificates(c.TLS, s.logger); err != nil { //nolint:contextcheck // watched until Close
		return err
	}
	if s.certs != nil {
		settings.TLS = s.certs.config()
	}
	if s.host, err = host.New(settings); err != nil {
		return err
	}
	if err := s.startCore(ctx, c, registry); err != nil {
		return err
	}
	if err := s.host.Start(ctx, s.leads); err != nil {
		return err
	}
	if err := s.host.Accept(); err != nil { //nolint:contextcheck // what serves outlives the start
		return err
	}
	s.join(c.Cluster) //nolint:contextcheck // follows the members until Close
	return nil
}

// leads says whether this member runs the workers of the leader.
func (s *Server) leads() bool { return s.node.Leads() }

func port(p int) int {
	switch {
	case p == 0:
		return defaultPort
	case p < 0:
		return 0
	}
	return p
}

// system are the server's own routes.
func (s *Server) system(r *prometheus.Registry) map[string]http.Handler {
	ready := observe.Ready(func(ctx context.Context) (map[string]error, []string) { return s.host.Ready(ctx) })
	return map[string]http.Handler{
		"/nacos/actuator/prometheus": observe.Metrics(r),
		"/nacos/actuator/health":     observe.Health(),
		"/actuator/prometheus":       observe.Metrics(r),
		"/metrics":                   observe.Metrics(r),
		"/health/live":               observe.Live(),
		"/health/ready":              ready,
	}
}

// startCore starts the node and what only it needs: the admin socket, the setup
// token, the first administrator.
func (s *Server) startCore(ctx context.Context, c Config, registry *prometheus.Registry) (err error) {
	c.Core.Logger, c.Core.Metrics = s.logger, registry
	c.Core.OnOpen = func() { //nolint:contextcheck // it serves until Close
		// From here on the directory is ours; an operator may have to steer how
		// a member finds its cluster.
		if s.admin, err = admin.Serve(c.Core.DataDir, operator{s}); err != nil {
			s.logger.Warn("no admin socket", zap.Error(err))
		}
	}
	begin := time.Now()
	if s.node, err = core.Start(ctx, c.Core); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w; choose another with cluster.port", err)
		}
		return err
	}
	s.ready.Store(s.node)
	s.logger.Info("core ready", zap.Duration("elapsed", time.Since(begin)))
	if err := errors.Join(
		registry.Register(observe.ConfigCount(s.node.ConfigCounts)),
		registry.Register(observe.ServiceCount(s.node.ServiceCounts)),
		registry.Register(observe.MemberCount(s.members)),
	); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return s.firstAdmin(ctx, c)
}

func (s *Server) members() int {
	ms, err := s.node.Cluster().Members(context.Background())
	if err != nil {
		return 0
	}
	return len(ms)
}

// firstAdmin creates the administrator of the environment, and forgets the setup
// token once there is one.
func (s *Server) firstAdmin(ctx context.Context, c Config) error {
	users := s.node.Directory()
	done, err := users.Bootstrapped(ctx)
	if err != nil {
		return err
	}
	if !done && len(c.FirstAdmin.Password) > 0 {
		c.FirstAdmin.Local = true
		if err := users.Bootstrap(ctx, c.FirstAdmin); err != nil && !errors.Is(err, auth.ErrBootstrapped) {
			return fmt.Errorf("first administrator: %w", err)
		}
		done = true
	}
	if done {
		return admin.RemoveSetupToken(c.Core.DataDir)
	}
	if c.TokenIsNew {
		s.logger.Info("no administrator yet: run admin init here, or use this token once from elsewhere",
			zap.String("setup_token", c.Core.Auth.SetupToken))
	}
	return nil
}

// Wait returns when ctx ends, or with the error of what failed before.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.host.Failed():
		return err
	case <-s.node.Done():
		if err := s.node.Err(); errors.Is(err, core.ErrRemoved) {
			return err
		}
		return fmt.Errorf("storage: %w", s.node.Err())
	}
}

// Addr is where a listener is bound: that of a plugin, or with an empty plugin
// the main one, named plugin.Main. Nil when it is off.
func (s *Server) Addr(plugin, listener string) net.Addr { return s.host.Addr(plugin, listener) }

// Close stops everything in order; idempotent.
func (s *Server) Close() error {
	if s.closed {
		return s.stopped
	}
	s.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var errs []error
	if s.host != nil {
		errs = append(errs, s.host.Stop(ctx, s.drain))
	}
	s.leave(ctx)
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.node != nil {
		errs = append(errs, s.node.Close())
	}
	if s.certs != nil {
		s.certs.close()
	}
	s.stopped = errors.Join(errs...)
	return s.stopped
}
