package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// example is a small plugin that has one of everything. The fields break it.
type example struct {
	manifest func(*plugin.Manifest)
	config   func() plugin.Config
	onNew    func(plugin.Host)
	start    func(context.Context) error
	ready    func() error
	drain    func(context.Context) error
	shutdown func(context.Context) error
	handler  http.HandlerFunc
}

type exampleConfig struct {
	Greeting string        `koanf:"greeting"`
	Wait     time.Duration `koanf:"wait"`
}

func (c *exampleConfig) Validate() error {
	if c.Greeting == "" {
		return errors.New("greeting: must not be empty")
	}
	return nil
}

func (e *example) Manifest() plugin.Manifest {
	m := plugin.Manifest{
		Name: "example", Version: "1",
		Listeners: []plugin.Listener{{Name: "rpc", Network: "tcp", Address: ":0"}, {Name: "echo", Network: "tcp", Address: ":0"}, {Name: "drop", Network: "udp", Address: ":0"}},
		Mounts:    []plugin.Mount{{Name: "api", Listener: plugin.Main, Prefixes: []string{"/hello", "/hi"}}},
		Tables:    []kv.TableSpec{{Name: "visits", Residency: kv.Hot}},
		Config:    func() plugin.Config { return &exampleConfig{Greeting: "hi"} },
	}
	if e.config != nil {
		m.Config = e.config
	}
	if e.manifest != nil {
		e.manifest(&m)
	}
	return m
}

func (e *example) New(_ context.Context, h plugin.Host) (plugin.Instance, error) {
	handler := e.handler
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) {
			res, err := h.KV().Commit(r.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "visits", Key: []byte(r.URL.Path)}}})
			_, _ = fmt.Fprintf(w, "%s %t %v", h.Config().(*exampleConfig).Greeting, res.Committed, err)
		}
	}
	h.HTTP("api", handler)
	h.GRPC("rpc", func(r grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(r, health.NewServer()) }, plugin.RPC{})
	h.Serve("echo", echo)
	h.ServePacket("drop", func(ctx context.Context, c net.PacketConn) error {
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		b := make([]byte, 512)
		for {
			if _, _, err := c.ReadFrom(b); err != nil {
				return err
			}
		}
	})
	h.Go("idle", func(ctx context.Context) error { <-ctx.Done(); return nil })
	if e.onNew != nil {
		e.onNew(h)
	}
	return e, nil
}

// echo serves one connection at a time.
func echo(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}
}

func call(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (e *example) Start(ctx context.Context) error    { return call(ctx, e.start) }
func (e *example) Drain(ctx context.Context) error    { return call(ctx, e.drain) }
func (e *example) Shutdown(ctx context.Context) error { return call(ctx, e.shutdown) }

func (e *example) Ready(context.Context) error {
	if e.ready == nil {
		return nil
	}
	return e.ready()
}

func TestRun(t *testing.T) {
	Run(t, func() plugin.Plugin { return &example{} })
}

func TestStart(t *testing.T) {
	s := Start(t, &example{}, Settings{Values: map[string]any{"greeting": "moin"}})
	resp, err := http.Get(s.URL(plugin.Main) + "/hello/you")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "moin true <nil>" {
		t.Errorf("GET /hello/you = %q, %v, want the greeting and a commit", b, err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if s.GRPC("rpc") == "" || s.Addr("echo") == "" || s.URL("rpc") != "" || s.GRPC(plugin.Main) != "" {
		t.Errorf("GRPC(rpc), Addr(echo), URL(rpc), GRPC(main) = %q, %q, %q, %q, want two addresses and nothing", s.GRPC("rpc"), s.Addr("echo"), s.URL("rpc"), s.GRPC(plugin.Main))
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// A suite is worth what it finds: each rule refuses a plugin that breaks it.
func TestRulesRefuse(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	shared, names := &exampleConfig{Greeting: "hi"}, []string{"/hello"}
	tests := map[string]struct {
		rule  string
		spoil func(*example)
		want  string
	}{
		"bad name":         {"manifest", func(e *example) { e.manifest = func(m *plugin.Manifest) { m.Name = "Ex-ample" } }, "lower_snake_case"},
		"unknown listener": {"manifest", func(e *example) { e.manifest = func(m *plugin.Manifest) { m.Mounts[0].Listener = "no" } }, "listener no is not declared"},
		"shared slice":     {"manifest", func(e *example) { e.manifest = func(m *plugin.Manifest) { m.Mounts[0].Prefixes = names } }, "another time"},
		"unstable":         {"manifest", func(e *example) { n := 0; e.manifest = func(m *plugin.Manifest) { n++; m.Version = fmt.Sprint(n) } }, "another time"},
		"shared config":    {"configuration", func(e *example) { e.config = func() plugin.Config { return shared } }, "the same struct twice"},
		"invalid defaults": {"configuration", func(e *example) { e.config = func() plugin.Config { return &exampleConfig{} } }, "greeting: must not be empty"},
		"bad key":          {"configuration", func(e *example) { e.config = func() plugin.Config { return &camel{} } }, `"maxSize"`},
		"goroutine in New": {"new starts nothing", func(e *example) { e.onNew = func(plugin.Host) { go func() { <-stuck }() } }, "goroutine"},
		"goroutine left":   {"life", func(e *example) { e.start = func(context.Context) error { go func() { <-stuck }(); return nil } }, "goroutine"},
		"drain fails":      {"life", func(e *example) { e.drain = func(context.Context) error { return errors.New("no") } }, "drain: no"},
		"second shutdown": {"life", func(e *example) {
			n := 0
			e.shutdown = func(context.Context) error { n++; return errors.Join(map[int]error{2: io.EOF}[n]) }
		}, "second shutdown: EOF"},
		"start fails":    {"life", func(e *example) { e.start = func(context.Context) error { return io.EOF } }, "start: EOF"},
		"handler panics": {"serves", func(e *example) { e.handler = func(http.ResponseWriter, *http.Request) { panic("oops") } }, "handler panicked: oops"},
		"handler fails": {"serves", func(e *example) {
			e.handler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		}, "status 503"},
		"mount not served": {"serves", func(e *example) {
			e.manifest = func(m *plugin.Manifest) {
				m.Mounts = append(m.Mounts, plugin.Mount{Name: "x", Listener: plugin.Main, Prefixes: []string{"/x"}})
			}
		}, "mount x: declared, not served"},
		"socket not served": {"serves", func(e *example) {
			e.manifest = func(m *plugin.Manifest) {
				m.Listeners = append(m.Listeners, plugin.Listener{Name: "x", Network: "tcp"})
			}
		}, "listener x: declared, not served"},
		"only once": {"restart on the same data", func(e *example) {
			n := 0
			e.start = func(context.Context) error { n++; return errors.Join(map[int]error{2: io.EOF}[n]) }
		}, "start 2: start: EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &example{}
			tt.spoil(e)
			for _, r := range rules() {
				if r.name != tt.rule {
					continue
				}
				err := r.check(t.Context(), func() plugin.Plugin { return e }, t.TempDir())
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s = %v, want an error with %q", r.name, err, tt.want)
				}
			}
		})
	}
}

type camel struct {
	MaxSize int `koanf:"maxSize"`
}

func (*camel) Validate() error { return nil }
