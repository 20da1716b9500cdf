package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/server/internal/mux"
	"github.com/easynet-cn/batata/server/internal/rpc"
)

// bound is a listener that has its port, or was refused it.
type bound struct {
	*Listening
	listener closer
	tcp      net.Listener
	udp      net.PacketConn
	refused  bool

	mux    *mux.Mux
	http   *http.Server
	grpc   *rpc.Server
	cancel context.CancelFunc
}

type closer interface {
	Addr() net.Addr
	Close() error
}

// packets gives a PacketConn the method of a listener.
type packets struct{ net.PacketConn }

func (p packets) Addr() net.Addr { return p.LocalAddr() }

// bind takes every port. One that is taken fails the start, unless nobody asked
// for it.
func (h *Host) bind(ctx context.Context) error {
	for _, l := range h.plan.Listeners {
		b := &bound{Listening: l}
		h.bound = append(h.bound, b)
		if l.Address == "" {
			continue
		}
		var (
			lc  net.ListenConfig
			err error
		)
		if l.Network == "udp" {
			if b.udp, err = lc.ListenPacket(ctx, "udp", l.Address); err == nil {
				b.listener = packets{b.udp}
			}
		} else {
			if b.tcp, err = lc.Listen(ctx, "tcp", l.Address); err == nil {
				b.listener = b.tcp
			}
		}
		switch {
		case err == nil:
		case l.Optional:
			b.refused = true
			h.logger.Warn("listener stays off", zap.String("address", l.Address), zap.String("change_with", l.Key), zap.Error(err))
		default:
			return fmt.Errorf("listen on %s: %w; choose another with %s", l.Address, err, l.Key)
		}
	}
	return nil
}

const (
	maxHeader         = 16 << 10
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Accept opens all listeners.
func (h *Host) Accept() error {
	counts, err := newCounts(h.settings.Metrics)
	if err != nil {
		return fmt.Errorf("count requests: %w", err)
	}
	for _, b := range h.bound {
		if b.listener == nil {
			continue
		}
		switch {
		case b.udp != nil:
			h.servePackets(b)
		case !h.serveRaw(b):
			h.serveShared(b, counts)
		}
		h.announce(b)
	}
	return nil
}

// run starts a server; one that ends although nobody stopped it ends the host.
func (h *Host) run(b *bound, what string, serve func() error) {
	h.servers.Go(func() {
		err := serve()
		select {
		case <-h.stopping:
			return
		default:
		}
		if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, rpc.ErrStopped) {
			return
		}
		select {
		case h.failed <- fmt.Errorf("%s on %s: %w", what, b.Address, err):
		default: // the first reason is enough
		}
	})
}

// serveShared serves HTTP and gRPC on one port.
func (h *Host) serveShared(b *bound, counts *counts) {
	d := &dispatcher{counts: counts, logger: h.logger}
	if b.Owner == "" {
		for prefix, handler := range h.settings.System {
			d.Add(prefix, handler)
		}
	}
	var regs []inproc.GRPC
	for _, r := range h.plugins {
		if b.Owner != "" && r.Manifest.Name != b.Owner {
			continue
		}
		r.mountOn(b.Name, d)
		regs = append(regs, r.servicesOn(b.Name)...)
	}
	b.mux = mux.New(b.tcp, mux.Options{
		TLS: h.settings.TLS, Plaintext: h.settings.Plaintext, OnlyGRPC: d.Len() == 0,
		Admit: h.settings.Admission, Logger: h.logger, Idle: idleTimeout,
	})
	d.mux = b.mux
	b.http = &http.Server{
		Handler: d, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: zap.NewStdLog(h.logger.Named("http")),
	}
	b.grpc = newRPC(h.logger, regs)
	h.run(b, "http", func() error { return b.http.Serve(b.mux.HTTP()) })
	h.run(b, "grpc", func() error { return b.grpc.Serve(b.mux.GRPC()) })
	h.run(b, "accept", b.mux.Serve)
}

// mountOn adds the plugin's mounts of one listener.
func (r *running) mountOn(listener string, d *dispatcher) {
	for _, m := range r.Manifest.Mounts {
		handler := r.host.Handlers[m.Name]
		if m.Listener != listener || handler == nil {
			continue
		}
		for _, prefix := range r.Prefixes[m.Name] {
			d.Add(prefix, handler)
		}
	}
}

// servicesOn lists the plugin's gRPC registrations of one listener.
func (r *running) servicesOn(listener string) []inproc.GRPC {
	var out []inproc.GRPC
	for _, g := range r.host.GRPCs {
		if g.Listener == listener {
			out = append(out, g)
		}
	}
	return out
}

// serveRaw serves a protocol of the plugin's own, if it has one here.
func (h *Host) serveRaw(b *bound) bool {
	for _, r := range h.plugins {
		if run := r.host.Serves[b.Name]; r.Manifest.Name == b.Owner && run != nil {
			ctx, cancel := context.WithCancel(context.Background())
			b.cancel = cancel
			h.run(b, r.Manifest.Name, func() error { return run(ctx, b.tcp) })
			return true
		}
	}
	return false
}

func (h *Host) servePackets(b *bound) {
	for _, r := range h.plugins {
		if run := r.host.Packets[b.Name]; r.Manifest.Name == b.Owner && run != nil {
			ctx, cancel := context.WithCancel(context.Background())
			b.cancel = cancel
			h.run(b, r.Manifest.Name, func() error { return run(ctx, b.udp) })
		}
	}
}

// newRPC returns the gRPC server of a listener.
func newRPC(logger *zap.Logger, regs []inproc.GRPC) *rpc.Server {
	var hooks []connHook
	for _, g := range regs {
		if g.Options.Conn != nil {
			hooks = append(hooks, g.Options.Conn)
		}
	}
	server := rpc.New(rpc.Settings{Logger: logger.Named("grpc"), Conn: joined(hooks)})
	for _, g := range regs {
		g.Register(server.With(rpc.Options{
			Codec: g.Options.Codec, MaxReceive: g.Options.MaxReceive, MaxSend: g.Options.MaxSend,
			Unary: g.Options.Unary, Stream: g.Options.Stream,
		}))
	}
	return server
}

// connHook is called for each connection, see plugin.RPC.
type connHook = func(ctx context.Context, remote net.Addr) (context.Context, func())

// joined makes one hook of several.
func joined(hooks []connHook) connHook {
	if len(hooks) == 0 {
		return nil
	}
	first, rest := hooks[0], joined(hooks[1:])
	if rest == nil {
		return first
	}
	return func(ctx context.Context, remote net.Addr) (context.Context, func()) {
		ctx, end := first(ctx, remote)
		ctx, before := rest(ctx, remote)
		return ctx, func() {
			before()
			end()
		}
	}
}
