//go:build !race

package v1_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkCalls are the hot calls with the same bytes every time, without the
// server's own work for a request. The publish changes nothing, so its entry of
// the log holds guards alone.
func BenchmarkCalls(b *testing.B) {
	router := routerOf(b)
	w := &sink{header: http.Header{}}
	b.Run("read", func(b *testing.B) {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/nacos/v1/cs/configs?dataId=a&group=G", http.NoBody)
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			router.ServeHTTP(w, req)
		}
	})
	b.Run("publish", func(b *testing.B) {
		form := "dataId=a&group=G&content=" + strings.Repeat("v", 256)
		body := strings.NewReader(form)
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/nacos/v1/cs/configs", nil)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Body, req.ContentLength = io.NopCloser(body), int64(len(form))
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			body.Reset(form)
			router.ServeHTTP(w, req)
		}
	})
}
