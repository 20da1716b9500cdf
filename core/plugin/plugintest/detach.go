package plugintest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/easynet-cn/batata/core/plugin"
)

// Detach tests that the streams of a host are what plugin.Detacher says. serve
// serves a service until the end of the test and returns its address.
func Detach(t *testing.T, serve func(*testing.T, *grpc.ServiceDesc) string) {
	t.Helper()
	t.Run("Ends", func(t *testing.T) { detachEnds(t, serve) })
	t.Run("Slow", func(t *testing.T) { detachSlow(t, serve) })
	t.Run("Gone", func(t *testing.T) { detachGone(t, serve) })
}

const talkPath = "/plugintest.Detach/Talk"

type word = wrapperspb.StringValue

// line is a receiver that echoes, and ends as it is told.
type line struct {
	plugin.Detached
	writable chan struct{}
	over     chan struct{}
}

func (l *line) Receive(decode func(any) error) error {
	in := new(word)
	if err := decode(in); err != nil {
		return err
	}
	switch in.GetValue() {
	case "end":
		l.End(status.Error(codes.Aborted, "as asked"))
		return nil
	case "fail":
		return status.Error(codes.DataLoss, "as asked")
	}
	_, err := l.Send(in)
	return err
}

func (l *line) Writable() { l.writable <- struct{}{} }
func (l *line) Over()     { close(l.over) }

// talk opens a stream that leaves its handler.
func talk(t *testing.T, serve func(*testing.T, *grpc.ServiceDesc) string) (func() (grpc.ClientStream, *line), *grpc.ClientConn) {
	t.Helper()
	lines := make(chan *line, 1)
	desc := grpc.StreamDesc{StreamName: "Talk", ClientStreams: true, ServerStreams: true}
	served := desc
	served.Handler = func(_ any, s grpc.ServerStream) error {
		d, ok := s.(plugin.Detacher)
		if !ok {
			return status.Errorf(codes.Internal, "%T is no plugin.Detacher", s)
		}
		l := &line{writable: make(chan struct{}, 1), over: make(chan struct{})}
		l.Detached = d.Detach(l)
		lines <- l
		return nil
	}
	addr := serve(t, &grpc.ServiceDesc{ServiceName: "plugintest.Detach", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{served}})
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), stopLimit)
	t.Cleanup(cancel)
	return func() (grpc.ClientStream, *line) {
		t.Helper()
		s, err := conn.NewStream(ctx, &desc, talkPath)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(wrapperspb.String("hello")); err != nil { // it exists with its first message
			t.Fatal(err)
		}
		hear(t, s, "hello")
		return s, await(t, "the handler", lines)
	}, conn
}

func hear(t *testing.T, s grpc.ClientStream, want string) {
	t.Helper()
	out := new(word)
	if err := s.RecvMsg(out); err != nil || out.GetValue() != want {
		t.Fatalf("RecvMsg() = %d bytes, %v, want %d", len(out.GetValue()), err, len(want))
	}
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(stopLimit):
		t.Fatalf("%s does not come", what)
	}
	return v
}

// Messages come and go in order, until one side or the other ends the stream.
func detachEnds(t *testing.T, serve func(*testing.T, *grpc.ServiceDesc) string) {
	t.Helper()
	open, _ := talk(t, serve)
	long := strings.Repeat("x", 100<<10)
	for last, want := range map[string]codes.Code{"": codes.OK, "end": codes.Aborted, "fail": codes.DataLoss} {
		s, l := open()
		for _, in := range []string{"a", "b", long, "c"} {
			if err := s.SendMsg(wrapperspb.String(in)); err != nil {
				t.Fatal(err)
			}
		}
		for _, in := range []string{"a", "b", long, "c"} {
			hear(t, s, in)
		}
		if last == "" {
			_ = s.CloseSend()
			await(t, "Over()", l.over)
			if _, err := l.Send(wrapperspb.String("last")); err != nil {
				t.Errorf("Send() to a client that has said everything = %v", err)
			}
			l.End(nil)
			hear(t, s, "last")
		} else if err := s.SendMsg(wrapperspb.String(last)); err != nil {
			t.Fatal(err)
		}
		err := s.RecvMsg(new(word))
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if status.Code(err) != want {
			t.Errorf("after %q the stream ends with %v, want %v", last, err, want)
		}
		await(t, "Over()", l.over)
		if _, err := l.Send(wrapperspb.String("late")); err == nil {
			t.Error("Send() on a stream that is over = nil error")
		}
	}
}

// Send never waits for a client. Of one that takes nothing the sender is told, and
// when it does take something again.
func detachSlow(t *testing.T, serve func(*testing.T, *grpc.ServiceDesc) string) {
	t.Helper()
	open, _ := talk(t, serve)
	s, l := open()
	long, sent := strings.Repeat("x", 20<<10), 0
	for more := true; more; sent++ {
		var err error
		if more, err = l.Send(wrapperspb.String(long)); err != nil {
			t.Fatal(err)
		}
		if sent > 1000 {
			t.Fatal("a client that reads nothing is sent without end")
		}
	}
	for range sent {
		hear(t, s, long)
	}
	await(t, "Writable()", l.writable)
	if more, err := l.Send(wrapperspb.String("x")); !more || err != nil {
		t.Errorf("Send() to a client that reads = %t, %v", more, err)
	}
	hear(t, s, "x")
}

// The end of a connection is that of its streams.
func detachGone(t *testing.T, serve func(*testing.T, *grpc.ServiceDesc) string) {
	t.Helper()
	open, conn := talk(t, serve)
	_, l := open()
	_ = conn.Close()
	await(t, "Over()", l.over)
}
