package inproc

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/core/plugin"
)

// Settings wire the host of one plugin.
type Settings struct {
	Manifest plugin.Manifest
	Core     plugin.Core
	Config   plugin.Config
	Prefixes map[string][]string // effective, by mount
	Points   *Points
	Encoders *Encoders
	Logger   *zap.Logger
	Metrics  prometheus.Registerer // without prefix
	Leads    func() bool
}

// GRPC is one registration of gRPC services.
type GRPC struct {
	Listener string
	Register func(grpc.ServiceRegistrar)
	Options  plugin.RPC
}

// Host implements plugin.Host for one plugin. It records what the plugin
// registers until Seal.
type Host struct {
	plugin.Core
	settings Settings
	sealed   atomic.Bool
	workers  workers

	Handlers map[string]http.Handler // by mount
	GRPCs    []GRPC
	Serves   map[string]func(context.Context, net.Listener) error
	Packets  map[string]func(context.Context, net.PacketConn) error
	peers    map[string]plugin.PeerHandler // by method
}

var _ plugin.Host = (*Host)(nil)

// NewHost returns a host that takes registrations.
func NewHost(s Settings) *Host {
	h := &Host{
		Core: s.Core, settings: s,
		Handlers: map[string]http.Handler{},
		Serves:   map[string]func(context.Context, net.Listener) error{},
		Packets:  map[string]func(context.Context, net.PacketConn) error{},
		peers:    map[string]plugin.PeerHandler{},
	}
	h.workers = workers{logger: s.Logger, leads: s.Leads}
	return h
}

// Seal ends the time of registration: New has returned.
func (h *Host) Seal() { h.sealed.Store(true) }

// Logger implements plugin.Env.
func (h *Host) Logger() *zap.Logger { return h.settings.Logger }

// Config implements plugin.Env.
func (h *Host) Config() plugin.Config { return h.settings.Config }

// Prefixes implements plugin.Env.
func (h *Host) Prefixes(mount string) []string { return h.settings.Prefixes[mount] }

// Metrics implements plugin.Env.
func (h *Host) Metrics() prometheus.Registerer {
	return prometheus.WrapRegistererWithPrefix("batata_"+h.settings.Manifest.Name+"_", h.settings.Metrics)
}

// SharedMetrics implements plugin.Env.
func (h *Host) SharedMetrics() prometheus.Registerer { return h.settings.Metrics }

// Encoder implements plugin.Env.
func (h *Host) Encoder(name string) memo.ID {
	return h.settings.Encoders.ID(h.settings.Manifest.Name + "/" + name)
}

// must panics: what a plugin registers wrongly is a programmer's error, found
// at the first start (STY-35).
func (h *Host) must(ok bool, format string, args ...any) {
	if h.sealed.Load() {
		panic(fmt.Sprintf("plugin %s: registration after New", h.settings.Manifest.Name)) //nolint:forbidigo // see must
	}
	if !ok {
		panic(fmt.Sprintf("plugin %s: "+format, append([]any{h.settings.Manifest.Name}, args...)...)) //nolint:forbidigo // see must
	}
}

func (h *Host) mount(name string) bool {
	for _, m := range h.settings.Manifest.Mounts {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (h *Host) listener(name, network string) bool {
	for _, l := range h.settings.Manifest.Listeners {
		if l.Name == name && l.Network == network {
			return true
		}
	}
	return false
}

// HTTP implements plugin.Registrar.
func (h *Host) HTTP(mount string, handler http.Handler) {
	h.must(h.mount(mount) && h.Handlers[mount] == nil, "mount %s: not declared, or served twice", mount)
	h.Handlers[mount] = handler
}

// GRPC implements plugin.Registrar.
func (h *Host) GRPC(listener string, register func(grpc.ServiceRegistrar), o plugin.RPC) {
	h.must(listener == plugin.Main || h.listener(listener, "tcp"), "listener %s: not declared", listener)
	h.GRPCs = append(h.GRPCs, GRPC{Listener: listener, Register: register, Options: o})
}

// Serve implements plugin.Registrar.
func (h *Host) Serve(listener string, run func(context.Context, net.Listener) error) {
	h.must(h.listener(listener, "tcp") && h.Serves[listener] == nil, "listener %s: not declared, or served twice", listener)
	h.Serves[listener] = run
}

// ServePacket implements plugin.Registrar.
func (h *Host) ServePacket(listener string, run func(context.Context, net.PacketConn) error) {
	h.must(h.listener(listener, "udp") && h.Packets[listener] == nil, "listener %s: not declared, or served twice", listener)
	h.Packets[listener] = run
}

// Go implements plugin.Registrar.
func (h *Host) Go(name string, run func(context.Context) error) {
	h.must(run != nil, "worker %s: nothing to run", name)
	h.workers.add(worker{name: name, run: run})
}

// LeaderOnly implements plugin.Registrar.
func (h *Host) LeaderOnly(name string, run func(context.Context) error) {
	h.must(run != nil, "worker %s: nothing to run", name)
	h.workers.add(worker{name: name, run: run, leader: true})
}

// Peer implements plugin.Registrar.
func (h *Host) Peer(method string, handle plugin.PeerHandler) {
	h.must(method != "" && handle != nil && h.peers[method] == nil, "peer method %s: nothing to run, or served twice", method)
	h.peers[method] = handle
}

// Reachable is implemented by a Core whose plugin other members can reach.
type Reachable interface {
	HandlePeer(method string, handle plugin.PeerHandler)
	ForgetPeers()
}

// StartWorkers starts what Go and LeaderOnly registered, and lets other members
// reach what Peer did.
func (h *Host) StartWorkers() {
	if r, ok := h.Core.(Reachable); ok {
		for method, handle := range h.peers {
			r.HandlePeer(method, handle)
		}
	}
	h.workers.start()
}

// StopWorkers takes back what StartWorkers did and waits; idempotent.
func (h *Host) StopWorkers() {
	if r, ok := h.Core.(Reachable); ok {
		r.ForgetPeers()
	}
	h.workers.stop()
}
