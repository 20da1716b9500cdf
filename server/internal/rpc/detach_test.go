package rpc

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

// line is a receiver whose parts a test can replace.
type line struct {
	plugin.Detached
	receive  func(*line, string) error
	writable chan struct{}
	over     chan struct{}
}

func (l *line) Receive(decode func(any) error) error {
	v := new(value)
	if err := decode(v); err != nil {
		return err
	}
	return l.receive(l, string(v.GetValue()))
}

func (l *line) Writable() { l.writable <- struct{}{} }
func (l *line) Over()     { close(l.over) }

// detaching serves streams that leave their handler.
func detaching(t *testing.T, receive func(*line, string) error) (*Server, string, chan *line) {
	t.Helper()
	lines := make(chan *line, 16)
	s, addr := serve(t, &service{stream: func(st grpc.ServerStream) error {
		l := &line{receive: receive, writable: make(chan struct{}, 16), over: make(chan struct{})}
		l.Detached = st.(plugin.Detacher).Detach(l)
		lines <- l
		return nil
	}})
	return s, addr, lines
}

func echoLine(l *line, in string) error {
	if in == "panic" {
		panic("boom")
	}
	_, err := l.Send(wrapperspb.Bytes([]byte(in)))
	return err
}

// A stream goes on without its handler.
func TestDetach(t *testing.T) {
	plugintest.Detach(t, func(t *testing.T, desc *grpc.ServiceDesc) string {
		t.Helper()
		_, addr := serve(t, &service{more: []*grpc.ServiceDesc{desc}})
		return addr
	})
}

// A receiver that panics costs its stream alone.
func TestDetachPanics(t *testing.T) {
	_, addr, lines := detaching(t, echoLine)
	st, err := dial(t, addr).NewStream(patient(t), bidi, streamPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SendMsg(wrapperspb.Bytes([]byte("panic"))); err != nil {
		t.Fatal(err)
	}
	if err := st.RecvMsg(new(value)); status.Code(err) != codes.Internal {
		t.Errorf("RecvMsg() = %v, want %v", err, codes.Internal)
	}
	l := <-lines
	<-l.over
	if _, err := l.Send(wrapperspb.Bytes([]byte("late"))); err == nil {
		t.Error("Send() on a stream that is over = nil error")
	}
}

// Send never waits for a client: one that takes nothing is told of, and when it
// takes something the sender is told too. The end of a connection is that of its
// streams.
func TestDetachSlow(t *testing.T) {
	_, addr, lines := detaching(t, echoLine)
	w := newSilent(t, addr)
	w.write(t, appendSetting(appendFrame([]byte(preface), 6, kindSettings, 0, 0), settingWindow, 1000))
	w.open(t)
	l := <-lines
	sent := 0
	for more := true; more; sent++ {
		var err error
		if more, err = l.Send(wrapperspb.Bytes(pattern(10 << 10))); err != nil {
			t.Fatal(err)
		}
		if sent > 100 {
			t.Fatal("a client without a window is sent without end")
		}
	}
	select {
	case <-l.writable:
		t.Fatal("Writable() although the client took nothing")
	default:
	}
	w.write(t, appendWindow(appendWindow(nil, 0, 1<<20), 1, 1<<20))
	<-l.writable
	if more, err := l.Send(wrapperspb.Bytes([]byte("x"))); !more || err != nil {
		t.Errorf("Send() to a client that reads = %t, %v", more, err)
	}
	_ = w.Conn.(*net.TCPConn).SetLinger(0)
	_ = w.Close()
	<-l.over
}
