package host

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/server/internal/mux"
)

// Core is the node that plugins are attached to.
type Core interface {
	Attach(ctx context.Context, owner string, tables []kv.TableSpec) (plugin.Core, error)
	Ready(ctx context.Context) error
}

// Settings of a host.
type Settings struct {
	Plugins  []plugin.Plugin
	Sections map[string]map[string]any // by plugin, below plugins.
	Main     Main
	// Protected listeners bind to loopback while they are open, unless
	// AllowOpen; Confined says that nobody would reach loopback.
	AllowOpen bool
	Confined  string // why: "in a container"; empty: it is reachable
	TLS       *tls.Config
	Plaintext bool // with TLS: also without
	Admission *mux.Admission
	Core      Core
	Logger    *zap.Logger
	Metrics   *prometheus.Registry
	// Retire is called before clients are cut off; nil: nothing is.
	Retire func()
	// System are the server's own handlers on the main listener, by prefix.
	System map[string]http.Handler
}

// Host is the plugins of one server.
type Host struct {
	settings Settings
	plan     *Plan
	logger   *zap.Logger
	plugins  []*running
	bound    []*bound
	servers  sync.WaitGroup
	failed   chan error // capacity 1: the first server that ends unasked
	stopping chan struct{}
	once     sync.Once
}

// running is one plugin in its life.
type running struct {
	*Planned
	host     *inproc.Host
	instance plugin.Instance
	started  bool
}

// New plans, without any side effect.
func New(s Settings) (*Host, error) {
	p, err := plan(s)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	if err := protect(p, s); err != nil {
		return nil, err
	}
	return &Host{settings: s, plan: p, logger: s.Logger, failed: make(chan error, 1), stopping: make(chan struct{})}, nil
}

// Start binds the listeners, then builds and starts the plugins, and returns
// when all are ready. Nothing is accepted yet.
func (h *Host) Start(ctx context.Context, leads func() bool) error {
	if err := h.bind(ctx); err != nil {
		return err
	}
	encoders := new(inproc.Encoders)
	for _, p := range h.plan.Plugins {
		if err := h.build(ctx, p, encoders, leads); err != nil {
			return fmt.Errorf("plugin %s: %w", p.Manifest.Name, err)
		}
	}
	for _, r := range h.plugins {
		begin := time.Now()
		r.started = true
		if err := r.instance.Start(ctx); err != nil {
			return fmt.Errorf("plugin %s: start: %w", r.Manifest.Name, err)
		}
		r.host.StartWorkers() //nolint:contextcheck // ctx is for starting only, workers outlive it
		if err := inproc.Await(ctx, r.instance); err != nil {
			return fmt.Errorf("plugin %s: %w", r.Manifest.Name, err)
		}
		h.logger.Info("plugin ready", zap.String("plugin", r.Manifest.Name), zap.Duration("elapsed", time.Since(begin)))
	}
	return nil
}

// build attaches a plugin and takes its registrations.
func (h *Host) build(ctx context.Context, p *Planned, encoders *inproc.Encoders, leads func() bool) error {
	core, err := h.settings.Core.Attach(ctx, p.Manifest.Name, p.Manifest.Tables)
	if err != nil {
		return err
	}
	in := inproc.NewHost(inproc.Settings{
		Manifest: p.Manifest, Core: core, Config: p.Config, Prefixes: p.Prefixes, Points: h.plan.points,
		Encoders: encoders, Logger: h.logger.Named(p.Manifest.Name), Metrics: h.settings.Metrics, Leads: leads,
	})
	instance, err := p.Plugin.New(ctx, in)
	if err != nil {
		return err
	}
	in.Seal()
	h.plugins = append(h.plugins, &running{Planned: p, host: in, instance: instance})
	return nil
}

// Ready reports the state of core, of each plugin, and the listeners that are
// off although nobody turned them off. Everything is ready when no value is an
// error.
func (h *Host) Ready(ctx context.Context) (parts map[string]error, off []string) {
	parts = map[string]error{"core": h.settings.Core.Ready(ctx)}
	select {
	case <-h.stopping:
		parts["server"] = errors.New("stopping")
	default:
	}
	for _, r := range h.plugins {
		parts[r.Manifest.Name] = nil
		if readier, ok := r.instance.(plugin.Readier); ok {
			parts[r.Manifest.Name] = readier.Ready(ctx)
		}
	}
	for _, b := range h.bound {
		if b.refused {
			off = append(off, b.Owner+"/"+b.Name)
		}
	}
	return parts, off
}

// Failed delivers the error of a server that ended although nobody stopped it.
func (h *Host) Failed() <-chan error { return h.failed }

// Addr is where a listener is bound; nil when it is off. The main listener has
// no owner.
func (h *Host) Addr(owner, name string) net.Addr {
	for _, b := range h.bound {
		if b.Owner == owner && b.Name == name && b.listener != nil {
			return b.listener.Addr()
		}
	}
	return nil
}
