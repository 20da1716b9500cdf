package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/server/internal/mux"
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
	grpc   *grpc.Server
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
		if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
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
	b.grpc = grpc.NewServer(h.grpcOptions(regs)...)
	for _, g := range regs {
		g.Register(b.grpc)
	}
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

func (h *Host) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = h.panicked(info.FullMethod, p)
		}
	}()
	return next(ctx, req)
}

func (h *Host) recoverStream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = h.panicked(info.FullMethod, p)
		}
	}()
	return next(srv, s)
}

func (h *Host) panicked(method string, p any) error {
	h.logger.Error("handler panicked", zap.String("route", method), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	return status.Error(codes.Internal, "internal error")
}
