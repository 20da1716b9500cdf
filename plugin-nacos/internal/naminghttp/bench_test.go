//go:build !race

package naminghttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// form is a request with a form that can be sent again and again.
type form struct {
	*http.Request
	text []byte
	body bytes.Reader
}

func newForm(tb testing.TB, method, target, text string) *form {
	tb.Helper()
	f := &form{Request: httptest.NewRequestWithContext(tb.Context(), method, target, http.NoBody), text: []byte(text)}
	f.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f.Body, f.ContentLength = io.NopCloser(&f.body), int64(len(text))
	return f
}

func (f *form) again() *http.Request {
	f.body.Reset(f.text)
	return f.Request
}

// One call without the server's part in it: routing, checks, handler and registry.
func BenchmarkCalls(b *testing.B) {
	router := rig(b)
	follow(b, router)
	const residents = 20_000
	forms := make([]*form, residents)
	for i := range forms {
		forms[i] = newForm(b, http.MethodPost, "/nacos/v1/ns/instance",
			fmt.Sprintf("serviceName=service-%d&groupName=DEFAULT_GROUP&ip=10.1.%d.%d&port=8080&ephemeral=true&weight=0000", i%2000, i>>8, i&255))
	}
	w := &sink{header: http.Header{}}
	b.Run("register", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			clear(w.header)
			f := forms[i%residents]
			strconv.AppendInt(f.text[:len(f.text)-4], int64(1000+i/residents%9000), 10) // what is new every time
			router.ServeHTTP(w, f.again())
			i++
		}
	})
	for name, target := range map[string]string{
		"list V1": "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=public&clusters=&udpPort=0&clientIP=127.0.0.1&healthyOnly=false",
		"list V3": "/nacos/v3/client/ns/instance/list?serviceName=s&namespaceId=public&groupName=DEFAULT_GROUP",
	} {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, http.NoBody)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				router.ServeHTTP(w, req)
			}
		})
	}
}
