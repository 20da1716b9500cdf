package mux

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener of in-memory connections.
type pipes struct {
	accept chan accepted
	closed chan struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

func newPipes() *pipes {
	return &pipes{accept: make(chan accepted), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case a := <-p.accept:
		return a.conn, a.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// from is the server's end of a connection that comes from an address.
type from struct {
	net.Conn
	ip net.IP
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: f.ip, Port: 1} }

// dial returns the client's end.
func (p *pipes) dial(ip string) net.Conn {
	client, server := net.Pipe()
	p.accept <- accepted{conn: &from{server, net.ParseIP(ip)}}
	return client
}

// serving runs a mux whose servers say their name and the first line they read,
// in a bubble where five seconds pass at once.
func serving(t *testing.T, o Options, test func(p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		o.Logger = zap.NewNop()
		m := New(p, o)
		done := make(chan error, 3)
		go func() { done <- m.Serve() }()
		for name, l := range map[string]net.Listener{"http": m.HTTP(), "grpc": m.GRPC()} {
			go func() { done <- serve(name, l) }()
		}
		test(p)
		if err := m.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("second Close() = %v", err)
		}
		for range 3 {
			if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("server ended: %v", err)
			}
		}
	})
}

func serve(name string, l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			line, _ := bufio.NewReader(c).ReadString('\n')
			_, _ = io.WriteString(c, name+" "+line)
		}()
	}
}

// say writes text and returns all that comes back.
func say(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	go func() { _, _ = io.WriteString(c, text) }()
	b, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read after %q = %v", text, err)
	}
	_ = c.Close()
	return string(b)
}

// Architecture §5.4a: the first bytes decide, and all of them reach the server.
func TestFirstBytes(t *testing.T) {
	tests := map[string]struct {
		say, want string
		grpc      bool // the port serves nothing else
	}{
		"HTTP":                   {say: "GET / HTTP/1.1\n", want: "http GET / HTTP/1.1\n"},
		"HTTP/2":                 {say: preface, want: "grpc PRI * HTTP/2.0\r\n"},
		"begins alike":           {say: "PRI /\n", want: "http PRI /\n"},
		"begins alike for long":  {say: "PRI * HTTP/2.0\r\n\r\nSN\n", want: "http PRI * HTTP/2.0\r\n"},
		"one byte":               {say: "\n", want: "http \n"},
		"TLS without TLS":        {say: "\x16\x03\x01\n", want: "http \x16\x03\x01\n"},
		"gRPC only, says HTTP/1": {say: "GET /\n", grpc: true, want: "grpc GET /\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			serving(t, Options{OnlyGRPC: tt.grpc}, func(p *pipes) {
				if got := say(t, p.dial("192.0.2.2"), tt.say); got != tt.want {
					t.Errorf("say(%q) = %q, want %q", tt.say, got, tt.want)
				}
			})
		})
	}
}

// The preface may come byte by byte.
func TestSlowPreface(t *testing.T) {
	serving(t, Options{}, func(p *pipes) {
		c := p.dial("192.0.2.2")
		go func() {
			for _, b := range []byte(preface) {
				time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
				_, _ = c.Write([]byte{b})
			}
		}()
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "grpc ") {
			t.Errorf("answer = %q, %v, want that of gRPC", b, err)
		}
		_ = c.Close()
	})
}

// SEC-20: whoever says nothing, or stops in the middle of the preface or of a
// handshake, is cut off after five seconds.
func TestSilentClient(t *testing.T) {
	for name, tt := range map[string]struct {
		options Options
		say     string
	}{
		"nothing":           {},
		"half a preface":    {say: preface[:10]},
		"half a handshake":  {options: Options{TLS: &tls.Config{}}, say: "\x16\x03\x01"},
		"gRPC only, no TLS": {options: Options{OnlyGRPC: true, TLS: &tls.Config{}}},
	} {
		t.Run(name, func(t *testing.T) {
			serving(t, tt.options, func(p *pipes) {
				begin := time.Now()
				c := p.dial("192.0.2.2")
				if got := say(t, c, tt.say); got != "" {
					t.Errorf("answer = %q, want none", got)
				}
				if took := time.Since(begin); took != peekLimit {
					t.Errorf("cut off after %s, want %s", took, peekLimit)
				}
			})
		})
	}
}

// A client that has spoken is the business of its server: the time limit of the
// first bytes is gone.
func TestNoLimitAfterwards(t *testing.T) {
	serving(t, Options{}, func(p *pipes) {
		c := p.dial("192.0.2.2")
		_, _ = io.WriteString(c, "GET")
		time.Sleep(time.Minute) //nolint:forbidigo // the clock of the bubble
		if got := say(t, c, " /\n"); got != "http GET /\n" {
			t.Errorf("answer after a minute = %q, want that of HTTP", got)
		}
	})
}

// With TLS and without Plaintext nobody is served in the clear.
func TestRefusesPlaintext(t *testing.T) {
	serving(t, Options{TLS: &tls.Config{}}, func(p *pipes) {
		if got := say(t, p.dial("192.0.2.2"), "GET /\n"); got != "" {
			t.Errorf("answer = %q, want none", got)
		}
	})
}

// SEC-20: limits of all connections and of one address; loopback is exempt from
// the second; a closed connection gives its place back.
func TestAdmission(t *testing.T) {
	a := &Admission{Total: 4, PerIP: 2}
	serving(t, Options{Admit: a}, func(p *pipes) {
		one, two := p.dial("192.0.2.2"), p.dial("192.0.2.2")
		if got := say(t, p.dial("192.0.2.2"), ""); got != "" {
			t.Errorf("third of an address = %q, want a closed connection", got)
		}
		near, far := p.dial("127.0.0.1"), p.dial("::1")
		if got := say(t, p.dial("192.0.2.3"), ""); got != "" {
			t.Errorf("fifth of all = %q, want a closed connection", got)
		}
		if a.Open() != 4 || a.Refused() != 2 {
			t.Errorf("Open(), Refused() = %d, %d, want 4, 2", a.Open(), a.Refused())
		}
		if got := say(t, one, "GET /\n"); got != "http GET /\n" {
			t.Errorf("admitted connection = %q, want an answer", got)
		}
		synctest.Wait()
		if got := say(t, p.dial("192.0.2.2"), "GET /\n"); got != "http GET /\n" {
			t.Errorf("connection after one has gone = %q, want an answer", got)
		}
		for _, c := range []net.Conn{two, near, far} {
			_ = c.Close()
		}
		synctest.Wait()
		if a.Open() != 0 || len(a.byIP) != 0 {
			t.Errorf("Open() = %d, %d addresses, want none", a.Open(), len(a.byIP))
		}
	})
}

// temporary is what accept says when the process is out of files.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }

// An accept that fails for now is tried again with growing pauses; another one
// ends Serve.
func TestAcceptFails(t *testing.T) {
	serving(t, Options{}, func(p *pipes) {
		begin := time.Now()
		for range 3 {
			p.accept <- accepted{err: temporary{errors.New("too many open files")}}
		}
		if got := say(t, p.dial("192.0.2.2"), "GET /\n"); got != "http GET /\n" {
			t.Errorf("answer = %q, want that of HTTP", got)
		}
		if took := time.Since(begin); took != 35*time.Millisecond {
			t.Errorf("paused for %s, want 5+10+20 ms", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		m := New(p, Options{Logger: zap.NewNop()})
		done := make(chan error)
		go func() { done <- m.Serve() }()
		p.accept <- accepted{err: io.ErrUnexpectedEOF}
		if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Serve() = %v, want %v", err, io.ErrUnexpectedEOF)
		}
		_ = m.Close()
	})
}

// Close does not wait for those who say nothing, nor for servers that accept
// no more.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		m := New(p, Options{Logger: zap.NewNop()})
		done := make(chan error)
		go func() { done <- m.Serve() }()
		silent, waiting := p.dial("192.0.2.2"), p.dial("192.0.2.2")
		_, _ = io.WriteString(waiting, "G")
		synctest.Wait() // nobody accepts it
		begin := time.Now()
		_ = m.HTTP().Close()
		if err := m.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close() took %s, want no time", took)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v, want nil after Close", err)
		}
		for _, c := range []net.Conn{silent, waiting} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("Read() = nil error, want a closed connection")
			}
		}
	})
}
