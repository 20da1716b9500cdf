package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/easynet-cn/batata/core/plugin"
)

// journal keeps what happened, in order.
type journal struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// Architecture §5.4: plugins come up in their order and go down in the reverse,
// workers before their plugin.
func TestOrder(t *testing.T) {
	var j journal
	worker := func(name string) func(plugin.Host) {
		return func(h plugin.Host) {
			h.Go("w", func(ctx context.Context) error {
				<-ctx.Done()
				j.note(name + " worker ends")
				return nil
			})
		}
	}
	s := start(t, config(t), &fake{name: "a", log: j.note, onNew: worker("a")}, &fake{name: "b", log: j.note, onNew: worker("b")})
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
	want := []string{
		"a start", "a ready", "b start", "b ready",
		"a drain", "b drain", "b worker ends", "b shutdown", "a worker ends", "a shutdown",
	}
	if !slices.Equal(j.lines, want) {
		t.Errorf("order = %q\nwant %q", j.lines, want)
	}
}

// When a plugin cannot start, those before it are shut down and the error names
// it.
func TestStartFails(t *testing.T) {
	var j journal
	c := config(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := &fake{name: "b", log: j.note, ready: func() error {
		cancel()
		return errors.New("no rows")
	}}
	_, err := Start(ctx, c, &fake{name: "a", log: j.note}, b)
	if err == nil || !strings.Contains(err.Error(), "plugin b: not ready: no rows") {
		t.Errorf("Start() = %v, want what plugin b lacks", err)
	}
	if want := []string{"a start", "a ready", "b start", "b ready", "b shutdown", "a shutdown"}; !slices.Equal(j.lines, want) {
		t.Errorf("order = %q\nwant %q", j.lines, want)
	}
	start(t, c, &fake{}) // nothing is left behind
}

// parking is a plugin with requests under way and requests that wait.
type parking struct {
	fake

	arrived chan string // one for each request; capacity of the test's requests
	release chan struct{}
	parked  chan struct{}
}

func newParking() *parking {
	p := &parking{arrived: make(chan string, 4), release: make(chan struct{}), parked: make(chan struct{})}
	p.handler = func(w http.ResponseWriter, r *http.Request) {
		p.arrived <- r.URL.Path
		switch r.URL.Path {
		case "/fake/work":
			<-p.release
			_, _ = io.WriteString(w, "done")
		case "/fake/poll":
			<-p.parked
			_, _ = io.WriteString(w, "nothing changed")
		case "/fake/stuck":
			<-r.Context().Done()
		}
	}
	p.drain = func() { close(p.parked) }
	return p
}

// request asks in a goroutine of its own.
func (p *parking) request(t *testing.T, s *Server, path string) <-chan string {
	t.Helper()
	out := make(chan string, 1)
	go func() {
		_, body, err := fetch(t, nil, "http://"+s.main()+path)
		if err != nil {
			body = "error"
		}
		out <- body
	}()
	if got := <-p.arrived; got != path {
		t.Fatalf("arrived %s, want %s", got, path)
	}
	return out
}

// Requests under way finish, parked ones are answered by Drain, and what does
// not end is cut; readiness turns first.
func TestDrain(t *testing.T) {
	p := newParking()
	c := config(t)
	c.Drain = 100 * time.Millisecond
	s := start(t, c, p)
	work, poll, stuck := p.request(t, s, "/fake/work"), p.request(t, s, "/fake/poll"), p.request(t, s, "/fake/stuck")
	// Whoever says nothing does not hold the stop up.
	conn, err := net.Dial("tcp", s.main())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	eventually(t, "readiness turns", func() bool {
		_, body, err := fetch(t, nil, "http://"+s.main()+"/health/ready")
		return err == nil && strings.Contains(body, `"server":"stopping"`)
	})
	if got := <-poll; got != "nothing changed" {
		t.Errorf("parked request = %q, want its quiet answer", got)
	}
	close(p.release)
	if got := <-work; got != "done" {
		t.Errorf("request under way = %q, want done", got)
	}
	if got := <-stuck; got != "error" {
		t.Errorf("stuck request = %q, want a cut connection", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := net.DialTimeout("tcp", s.main(), time.Second); err == nil {
		t.Error("dial after Close() = nil error")
	}
}

// A gRPC call under way finishes too; a stream that the plugin keeps is cut.
func TestDrainGRPC(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		close(arrived)
		<-release
		return next(ctx, req)
	}
	s := start(t, config(t), &fake{rpc: plugin.RPC{Unary: slow}})
	conn, err := grpc.NewClient(s.main(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
		answer <- err
	}()
	<-arrived
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	eventually(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", s.main())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("Check() under way = %v, want an answer", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := watch.Recv(); err == nil {
		t.Error("Recv() after Close() = nil error, want the end of the stream")
	}
}

// Run ends with its context, and a server without plugins stops as well.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, config(t)) }()
	cancel()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run() does not end")
	}
	s := start(t, config(t))
	wantAnswer(t, s, "/health/live", 200, "ok")
}

// A protocol of the plugin's own that ends although nobody stopped it ends the
// server, with the reason.
func TestServerEnds(t *testing.T) {
	s := start(t, config(t), &fake{
		manifest: func(m *plugin.Manifest) {
			m.Listeners = []plugin.Listener{{Name: "own", Network: "tcp", Address: ":0"}}
		},
		onNew: func(h plugin.Host) {
			h.Serve("own", func(context.Context, net.Listener) error { return io.ErrUnexpectedEOF })
		},
	})
	if err := s.Wait(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Wait() = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// Raw protocols, TCP and UDP, end with the server.
func TestOwnProtocols(t *testing.T) {
	s := start(t, config(t), &fake{
		manifest: func(m *plugin.Manifest) {
			m.Listeners = []plugin.Listener{{Name: "tcp", Network: "tcp", Address: ":0"}, {Name: "udp", Network: "udp", Address: ":0"}}
		},
		onNew: func(h plugin.Host) {
			h.Serve("tcp", func(ctx context.Context, l net.Listener) error {
				defer context.AfterFunc(ctx, func() { _ = l.Close() })()
				c, err := l.Accept()
				if err == nil {
					_, _ = io.WriteString(c, "tcp")
					_ = c.Close()
					<-ctx.Done()
				}
				return nil
			})
			h.ServePacket("udp", func(ctx context.Context, c net.PacketConn) error {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				b := make([]byte, 16)
				for {
					n, from, err := c.ReadFrom(b)
					if err != nil {
						return err
					}
					_, _ = c.WriteTo(b[:n], from)
				}
			})
		},
	})
	for _, network := range []string{"tcp", "udp"} {
		c, err := net.Dial(network, s.Addr("fake", network).String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if network == "udp" {
			_, _ = io.WriteString(c, "udp")
		}
		b := make([]byte, 16)
		if n, err := c.Read(b); string(b[:n]) != network {
			t.Errorf("%s says %q, %v, want %s", network, b[:n], err, network)
		}
		_ = c.Close()
	}
}
