package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func answer(h http.Handler, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// NAD-MET-23: at most 1,000 namespaces, the rest together.
func TestCountsPerNamespace(t *testing.T) {
	for name, collector := range map[string]func(func() map[string]int64) prometheus.Collector{
		"batata_config_count": ConfigCount, "batata_service_count": ServiceCount,
	} {
		t.Run(name, func(t *testing.T) { testCounts(t, name, collector) })
	}
}

func testCounts(t *testing.T, name string, collector func(func() map[string]int64) prometheus.Collector) {
	t.Helper()
	counts := map[string]int64{}
	for i := range 1003 {
		counts[fmt.Sprintf("n%04d", i)] = 2
	}
	r := prometheus.NewRegistry()
	if err := r.Register(collector(func() map[string]int64 { return counts })); err != nil {
		t.Fatal(err)
	}
	body := answer(Metrics(r), "").Body.String()
	if got := strings.Count(body, "\n"+name+"{"); got != 1001 {
		t.Errorf("lines = %d, want 1001", got)
	}
	for _, want := range []string{name + `{namespace="n0999"} 2`, name + `{namespace="_other"} 6`} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(body, "n1000") {
		t.Error("the thousand and first namespace has a line of its own")
	}
}

// NAD-MET-01: one text format, whatever the scraper would rather have.
func TestMetricsFormat(t *testing.T) {
	r := NewRegistry()
	if err := r.Register(MemberCount(func() int { return 3 })); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", "application/openmetrics-text", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		w := answer(Metrics(r), accept)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4; charset=utf-8") {
			t.Errorf("content type for %q = %q", accept, got)
		}
		if !strings.Contains(w.Body.String(), "\nbatata_cluster_member_count 3\n") {
			t.Errorf("answer to %q lacks the members", accept)
		}
	}
}

// ARC-P10: 503 with the same document when a part is not ready.
func TestReady(t *testing.T) {
	tests := map[string]struct {
		parts map[string]error
		off   []string
		code  int
		body  string
	}{
		"ready":   {map[string]error{"core": nil}, nil, 200, `{"ready":true,"parts":{"core":"ready"}}`},
		"off":     {map[string]error{"core": nil}, []string{"x/y"}, 200, `{"ready":true,"parts":{"core":"ready"},"off":["x/y"]}`},
		"missing": {map[string]error{"core": errors.New("no leader"), "x": nil}, nil, 503, `{"ready":false,"parts":{"core":"no leader","x":"ready"}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := answer(Ready(func(context.Context) (map[string]error, []string) { return tt.parts, tt.off }), "")
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.code || got != tt.body {
				t.Errorf("Ready() = %d %s, want %d %s", w.Code, got, tt.code, tt.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("content type = %q, want application/json", got)
			}
		})
	}
}
