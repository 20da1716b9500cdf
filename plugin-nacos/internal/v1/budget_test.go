//go:build !race

package v1_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	v1 "github.com/easynet-cn/batata/plugin-nacos/internal/v1"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// ENG-24: a read of a config over HTTP, routing and checks included, without the
// server's own allocations for a request.
func TestBudgetRead(t *testing.T) {
	router := routerOf(t)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/nacos/v1/cs/configs?dataId=a&group=G", http.NoBody)
	w := &sink{header: http.Header{}}
	const budget = 6
	n := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		router.ServeHTTP(w, req)
	})
	if w.bytes == 0 || w.status > http.StatusOK {
		t.Fatalf("answered %d with %d bytes, want the config", w.status, w.bytes)
	}
	if n > budget {
		t.Errorf("a read makes %.0f allocations, want at most %d", n, budget)
	}
}

// routerOf serves a node with one config.
func routerOf(tb testing.TB) *web.Router {
	tb.Helper()
	node := coretest.Start(tb)
	c, err := node.Attach(tb.Context(), "nacos", nil)
	if err != nil {
		tb.Fatalf("Attach() = %v", err)
	}
	configs := config.New(config.Settings{Configs: c.Configs(), Store: c.KV(), Committer: c.Txn()})
	router := web.NewRouter(authmap.NewGate(c.Auth(), authmap.Switches{}), zap.NewNop(), []string{"/nacos"})
	router.Add((&v1.API{
		Configs: configs, Ready: func(context.Context) error { return nil }, Owner: "nacos", Encoder: 1,
	}).Routes()...)
	err = configs.Publish(tb.Context(), auth.Actor{Protocol: "nacos"}, config.Publish{
		DataID: "a", Group: "G", Content: []byte(strings.Repeat("v", 256)),
	})
	if err != nil {
		tb.Fatalf("Publish() = %v", err)
	}
	return router
}
