package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// quick are times of a server in a hurry, but for those that a test is about.
func quick(edit func(*times)) func(*Settings, *Options) {
	return func(s *Settings, _ *Options) {
		s.times = times{
			tick: 10 * time.Millisecond, greet: time.Hour, ping: time.Hour, pong: time.Hour, idle: time.Hour, write: time.Hour,
		}
		edit(&s.times)
	}
}

// wantEnd expects that the connection is closed.
func (w *wire) wantEnd(tb testing.TB) {
	tb.Helper()
	_ = w.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := w.frame()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			tb.Fatal("the connection stays open")
		}
		if err != nil {
			return
		}
	}
}

// Whoever says nothing at first is cut.
func TestGreeting(t *testing.T) {
	_, addr := serve(t, &service{}, quick(func(t *times) { t.greet = 20 * time.Millisecond }))
	for name, said := range map[string]string{
		"nothing": "", "half a preface": preface[:10], "no settings": preface, "half of them": preface + "\x00\x00\x06\x04",
	} {
		t.Run(name, func(t *testing.T) {
			w := newSilent(t, addr)
			w.write(t, []byte(said))
			w.wantEnd(t)
		})
	}
	w := newSilent(t, addr)
	w.write(t, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	w.wantGoAway(t, codeProtocol)
}

// A client that was silent for long is asked whether it lives; who answers stays,
// who does not is cut.
func TestKeepAlive(t *testing.T) {
	_, addr := serve(t, &service{}, quick(func(t *times) { t.ping, t.pong = 30*time.Millisecond, 300*time.Millisecond }))
	lively, dead := newWire(t, addr), newWire(t, addr)
	_ = lively.SetReadDeadline(time.Now().Add(patience))
	for asked := 0; asked < 3; {
		f, p, err := lively.frame()
		if err != nil {
			t.Fatalf("a client that answers: %v", err)
		}
		if f.kind == kindPing && !f.has(flagAck) {
			asked++
			lively.write(t, append(appendFrame(nil, 8, kindPing, flagAck, 0), p...))
		}
	}
	dead.wantEnd(t)
	lively.call(t, 200)
}

// A connection without calls is told to go after a while; one with a stream is not.
func TestIdle(t *testing.T) {
	_, addr := serve(t, &service{}, quick(func(t *times) { t.idle = 50 * time.Millisecond }))
	busy := newWire(t, addr)
	busy.open(t)
	idle := newWire(t, addr)
	_, p := idle.until(t, kindGoAway)
	if binary.BigEndian.Uint32(p) != maxWindow || code(binary.BigEndian.Uint32(p[4:])) != codeNone {
		t.Errorf("GOAWAY %v, want one that promises to serve what was opened", p)
	}
	idle.call(t, 200) // it crossed the GOAWAY
	idle.write(t, append(appendFrame(nil, 8, kindPing, flagAck, 0), pingLeave[:]...))
	if _, p := idle.until(t, kindGoAway); binary.BigEndian.Uint32(p) != 1 {
		t.Errorf("last stream = %v, want 1", p)
	}
	idle.wantEnd(t)
	busy.write(t, data(1, message200, 0))
	if _, p := busy.until(t, kindData); !bytes.Equal(p, message200) {
		t.Error("the stream of the busy connection is gone")
	}
}

// Shutdown lets calls under way end, refuses later ones, and cuts what does not end.
func TestShutdown(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s, addr := serve(t, &service{unary: func(_ context.Context, v *value) (*value, error) {
		close(started)
		<-release
		return v, nil
	}})
	conn, other := dial(t, addr), dial(t, addr)
	answer := make(chan error, 1)
	go func() { answer <- conn.Invoke(patient(t), unaryPath, wrapperspb.String("x"), new(value)) }()
	<-started
	st, err := other.NewStream(patient(t), bidi, streamPath)
	if err == nil {
		err = errors.Join(st.SendMsg(wrapperspb.String("x")), st.RecvMsg(new(value)))
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Shutdown(ctx)
	}()
	if _, err := net.DialTimeout("tcp", addr, patience); err == nil {
		for { // until the listener is closed
			c, err := net.Dial("tcp", addr)
			if err != nil {
				break
			}
			_ = c.Close()
			runtime.Gosched()
		}
	}
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("call under way = %v, want its answer", err)
	}
	if err := errors.Join(st.SendMsg(wrapperspb.String("x")), st.RecvMsg(new(value))); err != nil {
		t.Errorf("stream under way = %v, want it to go on", err)
	}
	cut()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("Shutdown() does not end")
	}
	if err := st.RecvMsg(new(value)); status.Code(err) != codes.Unavailable {
		t.Errorf("stream after Shutdown() = %v, want Unavailable", err)
	}
}

func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			tb.Fatalf("it does not come that %s", what)
		}
	}
}

// A client that takes none of what it asked for is cut.
func TestSlowClient(t *testing.T) {
	s, addr := serve(t, &service{}, quick(func(t *times) { t.write = 100 * time.Millisecond }), func(_ *Settings, o *Options) { o.MaxReceive = 16 << 20 })
	t.Run("of TCP", func(t *testing.T) {
		w := newWire(t, addr)
		_ = w.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		w.write(t, appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingWindow, maxWindow))
		w.write(t, call(1, w.block, flagEndHeaders))
		m := message(9 << 20) // more than the system keeps for the two
		for len(m) > 0 {
			part := m[:min(len(m), minFrame)]
			m = m[len(part):]
			var end uint8
			if len(m) == 0 {
				end = flagEndStream
			}
			w.write(t, data(1, part, end))
		}
		eventually(t, "the connection is cut", func() bool { return len(s.all()) == 0 })
	})
	t.Run("of a window", func(t *testing.T) {
		w := newSilent(t, addr)
		w.write(t, appendSetting(appendFrame([]byte(preface), 6, kindSettings, 0, 0), settingWindow, 0))
		w.write(t, append(call(1, w.block, flagEndHeaders), data(1, message200, flagEndStream)...))
		if f, p := w.until(t, kindReset); f.stream != 1 || code(binary.BigEndian.Uint32(p)) != codeCancel {
			t.Errorf("RST_STREAM %d %v, want the call cancelled", f.stream, p)
		}
	})
}

// A handler that panics costs its call: the client gets INTERNAL without the cause,
// the log has it.
func TestPanic(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	_, addr := serve(t, &service{
		unary:  func(context.Context, *value) (*value, error) { panic("boom") },
		stream: func(grpc.ServerStream) error { panic("boom") },
	}, func(s *Settings, _ *Options) { s.Logger = zap.New(core) })
	conn := dial(t, addr)
	for range 3 {
		err := conn.Invoke(patient(t), unaryPath, wrapperspb.String("x"), new(value))
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "boom") {
			t.Errorf("Unary() = %v, want Internal without the cause", err)
		}
		st, err := conn.NewStream(patient(t), bidi, streamPath)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(new(value)); status.Code(err) != codes.Internal {
			t.Errorf("Stream() = %v, want Internal", err)
		}
	}
	if n := logs.FilterMessage("handler panicked").Len(); n != 6 {
		t.Errorf("%d lines about panics, want 6", n)
	}
}

// Interceptors are called, and deadlines of clients end handlers.
func TestDeadline(t *testing.T) {
	seen := make(chan string, 8)
	_, addr := serve(t, &service{unary: func(ctx context.Context, _ *value) (*value, error) {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		<-derived.Done()
		seen <- ctx.Err().Error()
		return nil, ctx.Err()
	}}, func(_ *Settings, o *Options) {
		o.Unary = func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			seen <- info.FullMethod
			return next(ctx, req)
		}
		o.Stream = func(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			seen <- info.FullMethod
			return next(srv, st)
		}
	})
	conn := dial(t, addr)
	ctx, cancel := context.WithTimeout(patient(t), 50*time.Millisecond)
	defer cancel()
	if err := conn.Invoke(ctx, unaryPath, wrapperspb.String("x"), new(value)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Unary() = %v, want DeadlineExceeded", err)
	}
	if m, e := <-seen, <-seen; m != unaryPath || e != context.DeadlineExceeded.Error() && e != context.Canceled.Error() {
		t.Errorf("seen %s, %s, want the method and the end", m, e)
	}
	st, err := conn.NewStream(ctx, bidi, streamPath)
	if err == nil {
		err = st.RecvMsg(new(value))
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Stream() = %v, want DeadlineExceeded", err)
	}
}

// One byte at a time is as good as all at once, and calls on one connection do not
// wait for each other.
func TestTrickle(t *testing.T) {
	_, addr := serve(t, &service{})
	w := newSilent(t, addr)
	b := appendFrame([]byte(preface), 0, kindSettings, 0, 0)
	b = append(append(b, call(1, w.block, flagEndHeaders)...), data(1, message200, flagEndStream)...)
	for i := range b {
		w.write(t, b[i:i+1])
		runtime.Gosched()
	}
	if _, p := w.until(t, kindData); !bytes.Equal(p, message200) {
		t.Error("the answer is not the message")
	}
}

// A connection that is no socket works as well: TLS has none that it reads itself.
func TestNoSocket(t *testing.T) {
	s := New(Settings{Logger: zap.NewNop()})
	svc := &service{unary: echo, stream: echoAll}
	s.With(Options{}).RegisterService(svc.desc(), nil)
	l := &pipes{next: make(chan net.Conn), closed: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	conn := dial(t, "pipe", grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		l.next <- theirs
		return ours, nil
	}))
	for _, n := range []int{0, 100, 100 << 10, 3 << 20} {
		out := new(value)
		if err := conn.Invoke(patient(t), unaryPath, wrapperspb.Bytes(pattern(n)), out); err != nil || len(out.GetValue()) != n {
			t.Errorf("Unary(%d bytes) = %d, %v", n, len(out.GetValue()), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Shutdown(ctx)
	if err := <-done; !errors.Is(err, ErrStopped) {
		t.Errorf("Serve() = %v", err)
	}
}

// pipes is a listener without a network.
type pipes struct {
	next   chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

// FUZ: whatever a client says, it is answered or cut, and the server lives. What it
// says is handled in this process without a network.
func FuzzFrames(f *testing.F) {
	f.Add(call(1, requestBlock(unaryPath), flagEndHeaders), uint8(0))
	f.Add(append(call(1, requestBlock(unaryPath), flagEndHeaders), data(1, message200, flagEndStream)...), uint8(1))
	f.Add(append(call(1, requestBlock(streamPath), flagEndHeaders), data(1, message200, 0)...), uint8(9))
	f.Add(append(ping(1), appendWindow(appendReset(nil, 1, codeCancel), 0, 5)...), uint8(3))
	f.Add(append(call(1, nil, 0), appendFrame(nil, 0, kindContinuation, flagEndHeaders, 1)...), uint8(2))
	f.Add(appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingWindow, 1), uint8(200))
	s := New(Settings{Logger: zap.NewNop()})
	svc := &service{unary: echo, stream: echoAll}
	s.With(Options{}).RegisterService(svc.desc(), nil)
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		ours, theirs := net.Pipe()
		s.take(theirs)
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_ = ours.SetWriteDeadline(time.Now().Add(patience))
		b = append(appendFrame([]byte(preface), 0, kindSettings, 0, 0), b...)
		n := int(step) + 1
		for len(b) > 0 {
			part := b[:min(n, len(b))]
			if _, err := ours.Write(part); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the server reads no more and does not close")
				}
				break
			}
			b = b[len(part):]
		}
		_ = ours.Close()
		eventually(t, "the connection ends", func() bool { return len(s.all()) == 0 })
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Shutdown(ctx)
	s.group.Wait()
}
