//go:build !race

package naminghttp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// stand is the routes on a real node.
type stand struct {
	*web.Router
	services *naming.Service
}

// rig is a stand with ten instances of a service.
func rig(tb testing.TB) *stand {
	tb.Helper()
	node, err := core.Start(tb.Context(), core.Config{DataDir: tb.TempDir(), Durability: core.OS})
	if err != nil {
		tb.Fatalf("Start() = %v", err)
	}
	tb.Cleanup(func() { _ = node.Close() })
	c, err := node.Attach(tb.Context(), "nacos", nil)
	if err != nil {
		tb.Fatalf("Attach() = %v", err)
	}
	services := naming.New(naming.Settings{
		Catalog: c.Registry(), Ephemeral: c.Ephemeral(), Store: c.KV(), Committer: c.Txn(), Owner: "nacos",
		Hosts: 1,
	})
	router := web.NewRouter(authmap.NewGate(c.Auth(), authmap.Switches{}), zap.NewNop(), []string{"/nacos"})
	router.Add((&API{
		Naming: services, Catalog: c.Registry(), Ready: func(context.Context) error { return nil },
	}).Routes()...)
	for port := range uint16(10) {
		in := naming.NewInstance("10.0.0.1", 8000+port)
		if err := services.Register(tb.Context(), naming.Address(in.IP, in.Port), naming.Key("", "", "s"), in); err != nil {
			tb.Fatalf("Register() = %v", err)
		}
	}
	return &stand{router, services}
}

// follow lets the worker of the plugin follow the changes.
func follow(tb testing.TB, s *stand) {
	tb.Helper()
	following := make(chan struct{})
	s.services.OnReset(sync.OnceFunc(func() { close(following) }))
	ctx, stop := context.WithCancel(tb.Context())
	var worker sync.WaitGroup
	worker.Go(func() {
		if err := s.services.Run(ctx); err != nil {
			tb.Errorf("Run() = %v", err)
		}
	})
	tb.Cleanup(func() { stop(); worker.Wait() })
	<-following
}

// ENG-05, 16, 24: lists of ten and light beats, routing and checks included,
// without the server's own allocations for a request.
func TestBudgetNaming(t *testing.T) {
	router := rig(t)
	for _, c := range []struct {
		method, target string
		budget         float64
		part           int // bytes of the answer at least
	}{
		{http.MethodGet, "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=public&clusters=&udpPort=0&clientIP=127.0.0.1&healthyOnly=false", 8, 10 * 300},
		{http.MethodGet, "/nacos/v1/ns/instance/list?serviceName=DEFAULT_GROUP%40%40s", 8, 10 * 300},
		{http.MethodGet, "/nacos/v3/client/ns/instance/list?serviceName=s", 8, 10 * 300},
		{http.MethodPut, "/nacos/v1/ns/instance/beat?serviceName=s&ip=10.0.0.1&port=8000", 10, 60},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, c.target, http.NoBody)
		w := &sink{header: http.Header{}}
		n := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			w.bytes = 0
			router.ServeHTTP(w, req)
		})
		if w.bytes < c.part || w.status != http.StatusOK {
			t.Errorf("%s answered %d with %d bytes, want 200 with at least %d", c.target, w.status, w.bytes, c.part)
		}
		if n > c.budget {
			t.Errorf("%s %s makes %.0f allocations, want at most %.0f", c.method, c.target, n, c.budget)
		}
	}
}

// ENG-24, GOAL-08: a registration that changes the instance of a client, from the
// form to the registry; without the server's own allocations for a request.
func TestBudgetRegister(t *testing.T) {
	router := rig(t)
	f := newForm(t, http.MethodPost, "/nacos/v1/ns/instance", "serviceName=s&groupName=DEFAULT_GROUP&ip=10.1.0.1&port=8080&ephemeral=true&weight=1000")
	w := &sink{header: http.Header{}}
	weight := int64(1000)
	n := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		weight++
		strconv.AppendInt(f.text[:len(f.text)-4], weight, 10)
		router.ServeHTTP(w, f.again())
	})
	if w.status != http.StatusOK {
		t.Fatalf("it answered %d", w.status)
	}
	const budget = 10
	if n > budget {
		t.Errorf("a registration makes %.0f allocations, want at most %d", n, budget)
	}
}
