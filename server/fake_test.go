package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a plugin whose every part a test can replace.
type fake struct {
	name     string
	manifest func(*plugin.Manifest)
	onNew    func(plugin.Host)
	handler  http.HandlerFunc
	log      func(event string)
	rpc      plugin.RPC
	ready    func() error
	drain    func()
}

type fakeConfig struct {
	Greeting string `koanf:"greeting"`
	Login    bool   `koanf:"login"`
}

func (c *fakeConfig) Validate() error {
	if c.Greeting == "" {
		return errors.New("greeting: must not be empty")
	}
	return nil
}

func (c *fakeConfig) Open() (open bool, key string) { return !c.Login, "fake.login" }

func (f *fake) Manifest() plugin.Manifest {
	name := f.name
	if name == "" {
		name = "fake"
	}
	m := plugin.Manifest{
		Name:   name,
		Mounts: []plugin.Mount{{Name: "api", Listener: plugin.Main, Prefixes: []string{"/" + name}}},
		Tables: []kv.TableSpec{{Name: "rows", Residency: kv.Hot}},
		Config: func() plugin.Config { return &fakeConfig{Greeting: "hi", Login: true} },
	}
	if f.manifest != nil {
		f.manifest(&m)
	}
	return m
}

func (f *fake) New(_ context.Context, h plugin.Host) (plugin.Instance, error) {
	handler := f.handler
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, h.Config().(*fakeConfig).Greeting)
		}
	}
	h.HTTP("api", handler)
	h.GRPC(plugin.Main, func(r grpc.ServiceRegistrar) {
		if f.name == "" {
			healthpb.RegisterHealthServer(r, health.NewServer())
		}
	}, f.rpc)
	if f.onNew != nil {
		f.onNew(h)
	}
	return f, nil
}

func (f *fake) note(event string) {
	if f.log != nil {
		f.log(f.name + " " + event)
	}
}

func (f *fake) Start(context.Context) error {
	f.note("start")
	return nil
}

func (f *fake) Ready(context.Context) error {
	f.note("ready")
	if f.ready != nil {
		return f.ready()
	}
	return nil
}

func (f *fake) Drain(context.Context) error {
	f.note("drain")
	if f.drain != nil {
		f.drain()
	}
	return nil
}

func (f *fake) Shutdown(context.Context) error {
	f.note("shutdown")
	return nil
}

// config is a server on free ports of loopback.
func config(t *testing.T) Config {
	t.Helper()
	return Config{Core: core.Config{DataDir: t.TempDir(), Durability: core.OS}, Bind: "127.0.0.1", Port: -1}
}

func start(t *testing.T, c Config, plugins ...plugin.Plugin) *Server {
	t.Helper()
	s, err := Start(t.Context(), c, plugins...)
	if err != nil {
		t.Fatalf("Start() = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// main is the address of the main listener.
func (s *Server) main() string { return s.Addr("", plugin.Main).String() }

// get asks without keeping the connection.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	status, body, err := fetch(t, &tls.Config{}, url)
	if err != nil {
		t.Fatalf("GET %s = %v", url, err)
	}
	return status, body
}

func fetch(t *testing.T, config *tls.Config, url string) (int, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 1 {
		t.Errorf("GET %s: protocol %s, want HTTP/1.1", url, resp.Proto)
	}
	return resp.StatusCode, string(b), err
}

// eventually polls until ok, for at most ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("not within ten seconds: %s", what)
		case <-tick.C:
		}
	}
}

// certificate writes a new one for 127.0.0.1 and returns who trusts it.
func certificate(t *testing.T) (TLS, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	writePEM(t, files.CertFile, "CERTIFICATE", der)
	writePEM(t, files.KeyFile, "PRIVATE KEY", private)
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return files, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func writePEM(t *testing.T, path, kind string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
		t.Fatal(err)
	}
}
