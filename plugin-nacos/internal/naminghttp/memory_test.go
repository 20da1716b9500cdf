//go:build !race

package naminghttp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// heap is the bytes in use after everything that is not has been collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// GOAL-17: what an instance costs when it came over HTTP V1 from a client of its
// own, which must beat, ten to a service: all there is of it in core and in this
// plugin, while the worker of the plugin follows the changes. Then every service
// is listed, which keeps the JSON.
func TestBudgetMemory(t *testing.T) {
	const n, each = 50_000, 10
	for _, tt := range []struct {
		name          string
		meta          func(i int) string
		plain, listed uint64
	}{
		{"shared metadata", func(int) string { return `{"version":"1.0.0","zone":"a"}` }, 350, 700},
		{"two private pairs", func(i int) string { return fmt.Sprintf(`{"pod":"pod-%d","started":"%d"}`, i, 1_700_000_000+i) }, 390, 740},
	} {
		t.Run(tt.name, func(t *testing.T) {
			router := rig(t)
			follow(t, router)
			call(t, router.Router, http.MethodPost, "/nacos/v1/ns/instance", "serviceName=first&ip=10.0.0.1&port=80", "ok")
			before := heap()
			for i := range n {
				form := url.Values{"serviceName": {nth(i / each)}, "metadata": {tt.meta(i)}, "port": {"8080"}}
				form.Set("ip", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
				call(t, router.Router, http.MethodPost, "/nacos/v1/ns/instance", form.Encode(), "ok")
			}
			plain := (heap() - before) / n
			for i := range n / each {
				call(t, router.Router, http.MethodGet, "/nacos/v1/ns/instance/list?serviceName="+nth(i), "", `"hosts":[{`)
			}
			listed := (heap() - before) / n
			t.Logf("%d bytes per instance, %d listed", plain, listed)
			if plain > tt.plain || listed > tt.listed {
				t.Errorf("%d and %d bytes per instance, want at most %d and %d", plain, listed, tt.plain, tt.listed)
			}
			runtime.KeepAlive(router)
		})
	}
}

func nth(i int) string { return fmt.Sprintf("service-%05d", i) }

func call(t *testing.T, router *web.Router, method, target, form, want string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	router.ServeHTTP(w, req)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
		t.Fatalf("%s %s answered %d %q, want %q", method, target, w.Code, w.Body, want)
	}
}
