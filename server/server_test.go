package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/plugin"
)

// ask calls the health service of the fake.
func ask(t *testing.T, addr string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// Architecture §5.4a: HTTP and gRPC, with TLS and without, on one port.
func TestOnePort(t *testing.T) {
	files, trust := certificate(t)
	c := config(t)
	c.TLS = files
	s := start(t, c, &fake{})
	if code, body := get(t, "http://"+s.main()+"/fake/x"); code != 200 || body != "hi" {
		t.Errorf("GET over HTTP = %d %q, want 200 hi", code, body)
	}
	if err := ask(t, s.main(), insecure.NewCredentials()); err != nil {
		t.Errorf("gRPC without TLS = %v", err)
	}
	if code, body, err := fetch(t, trust, "https://"+s.main()+"/fake/x"); code != 200 || body != "hi" {
		t.Errorf("GET over TLS, h2 offered too = %d %q %v, want 200 hi", code, body, err)
	}
	if err := ask(t, s.main(), credentials.NewTLS(trust)); err != nil {
		t.Errorf("gRPC over TLS = %v", err)
	}
	// Without ALPN the first bytes inside decide.
	conn, err := tls.Dial("tcp", s.main(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /fake HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(b), "hi") {
		t.Errorf("GET over TLS without ALPN = %q, %v, want hi", b, err)
	}
}

// With server.tls.plaintext=false nobody is served without TLS.
func TestOnlyTLS(t *testing.T) {
	files, trust := certificate(t)
	c := config(t)
	c.TLS = files
	c.TLS.Only = true
	s := start(t, c, &fake{})
	if _, _, err := fetch(t, trust, "http://"+s.main()+"/fake"); err == nil {
		t.Error("GET without TLS = nil error, want a closed connection")
	}
	if code, _, err := fetch(t, trust, "https://"+s.main()+"/fake"); code != 200 {
		t.Errorf("GET over TLS = %d, %v, want 200", code, err)
	}
	if err := ask(t, s.main(), insecure.NewCredentials()); status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC without TLS = %v, want Unavailable", err)
	}
}

// With client_ca_file a client must show a certificate.
func TestClientCertificate(t *testing.T) {
	files, trust := certificate(t)
	c := config(t)
	c.TLS = files
	c.TLS.ClientCAFile = files.CertFile
	s := start(t, c, &fake{})
	if _, _, err := fetch(t, trust, "https://"+s.main()+"/fake"); err == nil {
		t.Error("GET without a certificate = nil error, want a refusal")
	}
	own, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	trust.Certificates = []tls.Certificate{own}
	if code, _, err := fetch(t, trust, "https://"+s.main()+"/fake"); code != 200 {
		t.Errorf("GET with a certificate = %d, %v, want 200", code, err)
	}
}

// STY-11: a handler that panics costs its own request only.
func TestPanickingHandler(t *testing.T) {
	s := start(t, config(t), &fake{handler: func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fake/early":
			panic("early")
		case "/fake/late":
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
			panic("late")
		}
	}})
	if code, body := get(t, "http://"+s.main()+"/fake/early"); code != 500 || strings.Contains(body, "early") {
		t.Errorf("GET = %d %q, want 500 without the cause", code, body)
	}
	if _, body, err := fetch(t, &tls.Config{}, "http://"+s.main()+"/fake/late"); err == nil {
		t.Errorf("GET of half an answer = %d bytes, nil error, want a cut connection", len(body))
	}
	if code, _ := get(t, "http://"+s.main()+"/fake"); code != 200 {
		t.Errorf("GET afterwards = %d, want 200", code)
	}
	if _, body := get(t, "http://"+s.main()+"/metrics"); !strings.Contains(body, `batata_http_requests_total{method="GET",path="/fake"} 3`) {
		t.Error("a panicking request was not counted")
	}
}

// STY-11: a panic in a gRPC handler is an answer too.
func TestPanickingService(t *testing.T) {
	boom := func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { panic("boom") }
	s := start(t, config(t), &fake{rpc: plugin.RPC{Unary: boom}})
	for range 2 {
		if err := ask(t, s.main(), insecure.NewCredentials()); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "boom") {
			t.Errorf("Check() = %v, want Internal without the cause", err)
		}
	}
}

// STY-11: a worker that panics is started again; the server lives.
func TestPanickingWorker(t *testing.T) {
	var runs atomic.Int32
	again := make(chan struct{})
	c := config(t)
	logger, logs := observer.New(zap.ErrorLevel)
	c.Logger = zap.New(logger)
	s := start(t, c, &fake{onNew: func(h plugin.Host) {
		h.Go("tumbler", func(context.Context) error {
			if runs.Add(1) == 1 {
				panic("tumble")
			}
			close(again)
			return nil
		})
	}})
	<-again
	if code, _ := get(t, "http://"+s.main()+"/fake"); code != 200 {
		t.Errorf("GET = %d, want 200", code)
	}
	if got := logs.FilterMessage("worker panicked").FilterField(zap.String("worker", "tumbler")).Len(); got != 1 {
		t.Errorf("log lines about the panic = %d, want 1", got)
	}
}

// ARC-P10: one readiness document; liveness does not depend on it.
func TestReadiness(t *testing.T) {
	var broken atomic.Bool
	s := start(t, config(t), &fake{ready: func() error {
		if broken.Load() {
			return errors.New("no rows")
		}
		return nil
	}})
	wantAnswer(t, s, "/health/ready", 200, `{"ready":true,"parts":{"core":"ready","fake":"ready"}}`)
	broken.Store(true)
	wantAnswer(t, s, "/health/ready", 503, `{"ready":false,"parts":{"core":"ready","fake":"no rows"}}`)
	wantAnswer(t, s, "/health/live", 200, "ok")
	wantAnswer(t, s, "/nacos/actuator/health", 200, `{"status":"UP"}`) // NAD-MET-02
	wantAnswer(t, s, "/nobody", 404, "404 page not found")
	wantAnswer(t, s, "/fakes", 404, "404 page not found") // ARC-P03: whole segments
}

func wantAnswer(t *testing.T, s *Server, path string, code int, body string) {
	t.Helper()
	got, text := get(t, "http://"+s.main()+path)
	if got != code || strings.TrimSpace(text) != body {
		t.Errorf("GET %s = %d %s, want %d %s", path, got, text, code, body)
	}
}

// PRD-14, NAD-MET-01, NAD-MET-23: the names that are promised.
func TestMetrics(t *testing.T) {
	s := start(t, config(t), &fake{handler: func(w http.ResponseWriter, r *http.Request) {
		if n, ok := w.(plugin.RouteNamer); ok && r.URL.Path != "/fake" {
			n.NameRoute("/fake/:id")
		}
	}})
	for _, path := range []string{"/fake", "/fake/1", "/fake/2", "/none"} {
		get(t, "http://"+s.main()+path)
	}
	resp, err := http.Get("http://" + s.main() + "/nacos/actuator/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("content type = %q, %v, want the text format", resp.Header.Get("Content-Type"), err)
	}
	for _, want := range []string{
		`batata_http_requests_total{method="GET",path="/fake"} 1`,
		`batata_http_requests_total{method="GET",path="/fake/:id"} 2`,
		`batata_http_requests_total{method="GET",path="none"} 1`,
		"batata_cluster_member_count 1",
		"batata_server_connections_refused_total 0",
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(string(body), "\n"+want) {
			t.Errorf("no line %q", want)
		}
	}
	resp.Body.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	eventually(t, "only the connection that asks is open", func() bool { // ends are seen late
		_, text := get(t, "http://"+s.main()+"/nacos/actuator/prometheus")
		return strings.Contains(text, "\nbatata_server_connections_open 1\n")
	})
}
