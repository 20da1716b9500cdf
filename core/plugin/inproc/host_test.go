package inproc

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/plugin"
)

// ARC-P02: what a manifest does not declare cannot be registered, nothing twice,
// and nothing after New.
func TestRegistration(t *testing.T) {
	http1 := http.NotFoundHandler()
	register := func(grpc.ServiceRegistrar) {}
	serve := func(context.Context, net.Listener) error { return nil }
	packets := func(context.Context, net.PacketConn) error { return nil }
	work := func(context.Context) error { return nil }
	extend := func(context.Context, plugin.Call) (plugin.Reply, error) { return plugin.Reply{}, nil }
	tests := map[string]struct {
		do   func(h *Host)
		want string // panic; empty: none
	}{
		"declared": {func(h *Host) {
			h.HTTP("api", http1)
			h.GRPC(plugin.Main, register, plugin.RPC{})
			h.GRPC("tcp", register, plugin.RPC{})
			h.Serve("tcp", serve)
			h.ServePacket("udp", packets)
			h.Go("w", work)
			h.LeaderOnly("w", work)
			h.Extend("p", extend)
		}, ""},
		"unknown mount":   {func(h *Host) { h.HTTP("no", http1) }, "mount no"},
		"mount twice":     {func(h *Host) { h.HTTP("api", http1); h.HTTP("api", http1) }, "mount api"},
		"gRPC on UDP":     {func(h *Host) { h.GRPC("udp", register, plugin.RPC{}) }, "listener udp"},
		"unknown TCP":     {func(h *Host) { h.Serve("no", serve) }, "listener no"},
		"serve on main":   {func(h *Host) { h.Serve(plugin.Main, serve) }, "listener main"},
		"packets on TCP":  {func(h *Host) { h.ServePacket("tcp", packets) }, "listener tcp"},
		"nothing to run":  {func(h *Host) { h.Go("w", nil) }, "worker w"},
		"nothing to lead": {func(h *Host) { h.LeaderOnly("w", nil) }, "worker w"},
		"unknown point":   {func(h *Host) { h.Extend("no", extend) }, "extension point no"},
		"after New":       {func(h *Host) { h.Seal(); h.HTTP("api", http1) }, "registration after New"},
		"worker late":     {func(h *Host) { h.Seal(); h.Go("w", work) }, "registration after New"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			points, err := Connect(nil)
			if err != nil {
				t.Fatal(err)
			}
			h := NewHost(Settings{Points: points, Logger: zap.NewNop(), Manifest: plugin.Manifest{
				Name: "x", Mounts: []plugin.Mount{{Name: "api", Listener: plugin.Main}},
				Listeners: []plugin.Listener{{Name: "tcp", Network: "tcp"}, {Name: "udp", Network: "udp"}},
				Extends:   []plugin.Extension{{Point: "p"}},
			}})
			defer func() {
				got := recover()
				if tt.want == "" && got != nil || tt.want != "" && !strings.Contains(fmt.Sprint(got), "plugin x: "+tt.want) {
					t.Errorf("panic = %v, want %q", got, tt.want)
				}
			}()
			tt.do(h)
		})
	}
}

// ARC-P10: metrics carry the plugin's name, shared ones do not.
func TestMetricNames(t *testing.T) {
	r := prometheus.NewRegistry()
	h := NewHost(Settings{Manifest: plugin.Manifest{Name: "x"}, Metrics: r})
	for _, to := range []prometheus.Registerer{h.Metrics(), h.SharedMetrics()} {
		if err := to.Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "calls"})); err != nil {
			t.Fatal(err)
		}
	}
	families, err := r.Gather()
	if err != nil || len(families) != 2 || families[0].GetName() != "batata_x_calls" || families[1].GetName() != "calls" {
		t.Errorf("Gather() = %v, %v, want batata_x_calls and calls", families, err)
	}
}

// Ids of encoded forms are the plugin's own, and the same for the same name.
func TestEncoders(t *testing.T) {
	var e Encoders
	a := NewHost(Settings{Manifest: plugin.Manifest{Name: "a"}, Encoders: &e})
	b := NewHost(Settings{Manifest: plugin.Manifest{Name: "b"}, Encoders: &e})
	if again := a.Encoder("x"); again != a.Encoder("x") || a.Encoder("x") == a.Encoder("y") || a.Encoder("x") == b.Encoder("x") {
		t.Error("Encoder() gives one id to two forms, or two to one")
	}
}

// ARC-P03: whole segments, the longest prefix wins.
func TestMounts(t *testing.T) {
	var m Mounts
	for _, p := range []string{"/a", "/a/b/", "/c"} {
		m.Add(p, http.NotFoundHandler())
	}
	var all Mounts
	all.Add("/", http.NotFoundHandler())
	all.Add("/a", http.NotFoundHandler())
	tests := []struct {
		in         *Mounts
		path, want string
		found      bool
	}{
		{&m, "/a", "/a", true},
		{&m, "/a/", "/a", true},
		{&m, "/a/x", "/a", true},
		{&m, "/a/b", "/a/b", true},
		{&m, "/a/b/c", "/a/b", true},
		{&m, "/a/bc", "/a", true},
		{&m, "/ab", "", false},
		{&m, "//a", "", false},
		{&m, "/A", "", false},
		{&m, "/", "", false},
		{&m, "", "", false},
		{&all, "/x", "", true},
		{&all, "/a/x", "/a", true},
		{&all, "*", "", false},
	}
	for _, tt := range tests {
		got := tt.in.Find(tt.path)
		if (got != nil) != tt.found || got != nil && got.Prefix != tt.want {
			t.Errorf("Find(%q) = %v, want %q, %t", tt.path, got, tt.want, tt.found)
		}
	}
}
