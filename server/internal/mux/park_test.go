package mux

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
)

// lobby is a server whose /park parks, answers by word of the test, and says when
// it is over; other paths are answered at once.
type lobby struct {
	mux    *Mux
	http   *http.Server
	served sync.WaitGroup
	hold   time.Duration
	parked chan *Parked
	over   chan bool // gone
	calls  atomic.Int32
}

func newLobby(l net.Listener, o Options) *lobby {
	b := &lobby{hold: time.Hour, parked: make(chan *Parked, 64), over: make(chan bool, 64)}
	o.Logger = zap.NewNop()
	b.mux = New(l, o)
	b.http = &http.Server{Handler: b}
	b.served.Go(func() { _ = b.mux.Serve() })
	b.served.Go(func() { _ = b.http.Serve(b.mux.HTTP()) })
	return b
}

func (b *lobby) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.calls.Add(1)
	if r.URL.Path == "/park" {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if r.URL.Path == "/park" || r.URL.Path == "/unread" {
		p, ok := b.mux.Park(w, r, time.Now().Add(b.hold), func(gone bool) { b.over <- gone })
		if ok {
			b.parked <- p
			return
		}
	}
	_, _ = io.WriteString(w, "at once "+r.URL.Path)
}

func (b *lobby) close() {
	_ = b.mux.Close()
	_ = b.http.Shutdown(context.Background()) // waits for handlers
	b.served.Wait()
}

// kept is the number of connections in the lot.
func (b *lobby) kept() int {
	b.mux.lot.mu.Lock()
	defer b.mux.lot.mu.Unlock()
	return len(b.mux.lot.parked)
}

// tcp is a lobby on a real socket.
func tcp(t *testing.T, o Options) (*lobby, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newLobby(l, o)
	t.Cleanup(b.close)
	return b, func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
}

const (
	park  = "POST /park HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	other = "GET /other HTTP/1.1\r\nHost: h\r\n\r\n"
)

func text(s string) *plugin.Response {
	return &plugin.Response{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(s)}
}

// wants reads one answer and compares its body.
func wants(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("answer: %v, want %q", err, want)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != want || resp.Close {
		t.Fatalf("answer = %q, %v, close %v, want %q", body, err, resp.Close, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// A connection is parked, answered and served by turns, and counts as one for the
// limits all the time (SEC-20).
func TestPark(t *testing.T) {
	a := &Admission{}
	b, dial := tcp(t, Options{Admit: a, Idle: time.Minute})
	c := dial()
	r := bufio.NewReader(c)
	for i := range 5 {
		write(t, c, park)
		p := <-b.parked
		if n := a.Open(); n != 1 {
			t.Fatalf("Open() while parked = %d, want 1", n)
		}
		p.Answer(text(fmt.Sprint("answer ", i)))
		p.Answer(text("another"))
		wants(t, r, fmt.Sprint("answer ", i))
		write(t, c, other)
		wants(t, r, "at once /other")
		p.Abort() // the connection is the server's again
	}
	if len(b.over) != 0 {
		t.Error("over was called for answered requests")
	}
	if got := b.kept(); got != 0 {
		t.Errorf("%d connections in the lot, want none", got)
	}
}

var date = regexp.MustCompile(`\r\nDate: [^\r]+ GMT\r\n`)

// What a parked client reads is what net/http would have sent.
func TestParkedBytes(t *testing.T) {
	for name, a := range map[string]*plugin.Response{
		"text":      text("hello"),
		"empty":     {Status: 200, Header: http.Header{"Content-Type": {"application/json;charset=UTF-8"}, "Expires": {"0"}, "Pragma": {"no-cache"}}},
		"odd value": {Status: 503, Header: http.Header{"Content-Type": {"a/b"}, "X-Odd": {"a\r\nInjected: b", "second"}}, Body: []byte("x")},
	} {
		t.Run(name, func(t *testing.T) {
			plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), a.Header)
				w.WriteHeader(a.Status)
				_, _ = w.Write(a.Body)
			}))
			defer plain.Close()
			c, err := net.Dial("tcp", plain.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			write(t, c, strings.Replace(park, "HTTP/1.1\r\n", "HTTP/1.1\r\nX: y\r\n", 1))
			want := raw(t, c, len(a.Body))
			b, dial := tcp(t, Options{})
			c = dial()
			write(t, c, park)
			(<-b.parked).Answer(a)
			if got := raw(t, c, len(a.Body)); got != want || !strings.Contains(got, "\r\nDate: now\r\n") {
				t.Errorf("answer = %q, want %q", got, want)
			}
		})
	}
}

// raw reads the bytes of one answer, without its date.
func raw(t *testing.T, c net.Conn, body int) string {
	t.Helper()
	var got []byte
	for b := make([]byte, 1); ; {
		if _, err := c.Read(b); err != nil {
			t.Fatalf("read after %q: %v", got, err)
		}
		got = append(got, b...)
		if head, rest, ok := bytes.Cut(got, []byte("\r\n\r\n")); ok && len(rest) == body {
			return date.ReplaceAllString(string(head)+"\r\n", "\r\nDate: now\r\n") + "\r\n" + string(rest)
		}
	}
}

// Bytes of the next request wait for their turn, however they come.
func TestParkedPipelined(t *testing.T) {
	for name, tt := range map[string]struct{ with, while, after string }{
		"with the first":      {with: other},
		"a part with it":      {with: other[:9], while: other[9:]},
		"parts everywhere":    {with: other[:5], while: other[5:9], after: other[9:]},
		"while it is parked":  {while: other},
		"begun while parked":  {while: other[:9], after: other[9:]},
		"one byte":            {while: other[:1], after: other[1:]},
		"two more":            {with: other + other},
		"one more of each":    {with: other, while: other, after: other},
		"a poll and a get":    {with: park + other},
		"after a while again": {with: park, while: other},
	} {
		t.Run(name, func(t *testing.T) {
			b, dial := tcp(t, Options{Idle: time.Minute})
			c := dial()
			write(t, c, park+tt.with)
			p := <-b.parked
			write(t, c, tt.while)
			if tt.while != "" && tt.with == "" { // it was noticed
				for looked := false; !looked; {
					p.mu.Lock()
					looked = p.turn != nil
					p.mu.Unlock()
				}
			}
			if n := b.calls.Load(); n != 1 {
				t.Errorf("%d requests served before the first was answered, want it alone", n)
			}
			p.Answer(text("first"))
			r := bufio.NewReader(c)
			wants(t, r, "first")
			write(t, c, tt.after)
			all := tt.with + tt.while + tt.after
			if strings.HasPrefix(all, park) {
				(<-b.parked).Answer(text("second"))
				wants(t, r, "second")
			}
			for range strings.Count(all, other) {
				wants(t, r, "at once /other")
			}
			write(t, c, other)
			wants(t, r, "at once /other")
		})
	}
}

// The end of a client is noticed, and its place given back; what comes for it
// later goes nowhere.
func TestParkedGone(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"closed":      func(c net.Conn) { _ = c.Close() },
		"half closed": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"reset":       func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a := &Admission{}
			b, dial := tcp(t, Options{Admit: a})
			c := dial()
			write(t, c, park)
			p := <-b.parked
			end(c)
			if !<-b.over {
				t.Error("over(false), want gone")
			}
			p.Answer(text("too late"))
			if n := a.Open(); n != 0 {
				t.Errorf("Open() = %d, want 0", n)
			}
			if len(b.over) != 0 {
				t.Error("over was called twice")
			}
		})
	}
}

// What cannot be parked is told so, and answered by its handler.
func TestNotParked(t *testing.T) {
	for name, request := range map[string]string{
		"HTTP/1.0":                   "GET /park HTTP/1.0\r\n\r\n",
		"HTTP/1.0, kept alive":       "GET /park HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"the last request":           "GET /park HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"HEAD":                       "HEAD /park HTTP/1.1\r\nHost: h\r\n\r\n",
		"the body is not read":       "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"nor that of unknown length": "POST /unread HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, dial := tcp(t, Options{})
			c := dial()
			write(t, c, request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusOK || len(b.parked) != 0 {
				t.Errorf("answer = %v, %v, %d parked, want one at once", resp, err, len(b.parked))
			}
		})
	}
	t.Run("a body of chunks is read", func(t *testing.T) {
		b, dial := tcp(t, Options{})
		c := dial()
		write(t, c, "POST /park HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		(<-b.parked).Answer(text("parked"))
		wants(t, bufio.NewReader(c), "parked")
	})
}

// Over TLS a request knows how it came, so it stays with its handler.
func TestNotParkedOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate
	s.Close()
	b, dial := tcp(t, Options{TLS: &tls.Config{Certificates: s.TLS.Certificates}})
	c := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	write(t, c, park)
	wants(t, bufio.NewReader(c), "at once /park")
	c = tls.Client(dial(), &tls.Config{InsecureSkipVerify: true})
	r := bufio.NewReader(c)
	write(t, c, park)
	select {
	case p := <-b.parked: // without a protocol that was negotiated it may
		p.Answer(text("parked"))
		wants(t, r, "parked")
	case <-time.After(10 * time.Second):
		t.Error("no answer")
	}
	write(t, c, other)
	wants(t, r, "at once /other")
}

// A longer answer than the buffers hold reaches who reads.
func TestParkedLongAnswer(t *testing.T) {
	b, dial := tcp(t, Options{Idle: time.Minute})
	c := dial()
	long := strings.Repeat("long ", 8<<20)
	write(t, c, park)
	(<-b.parked).Answer(text(long))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != long {
		t.Errorf("answer = %d bytes, %v, want %d", len(body), err, len(long))
	}
	write(t, c, other)
	wants(t, r, "at once /other")
}
