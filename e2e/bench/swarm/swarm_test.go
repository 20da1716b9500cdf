package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

// raw carries a Payload as unknown fields of an empty message.
type raw = emptypb.Empty

func rawOf(kind, value string) *raw {
	m := new(raw)
	m.ProtoReflect().SetUnknown(Payload(kind, []byte(value)))
	return m
}

func parse(t *testing.T, m *raw) (kind, value string) {
	t.Helper()
	b := []byte(m.ProtoReflect().GetUnknown())
	for len(b) > 0 {
		num, _, n := protowire.ConsumeTag(b)
		field, k := protowire.ConsumeBytes(b[n:])
		_, _, skip := protowire.ConsumeTag(field)
		inner, _ := protowire.ConsumeBytes(field[skip:])
		if num == 2 {
			kind = string(inner)
		} else {
			value = string(inner)
		}
		b = b[n+k:]
	}
	return kind, value
}

// peer is a server of the protocol: it answers calls, acknowledges the setup, then
// pushes and collects what comes back.
type peer struct {
	addr  string
	calls chan string
	acks  chan string
	push  chan *raw
}

func newPeer(t *testing.T, fail string) *peer {
	t.Helper()
	return newPeerThat(t, fail, true)
}

// newPeerThat settles setups, or is one of those that do not.
func newPeerThat(t *testing.T, fail string, settles bool) *peer {
	t.Helper()
	p := &peer{calls: make(chan string, 100), acks: make(chan string, 100), push: make(chan *raw, 100)}
	unary := func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := new(raw)
		if err := dec(m); err != nil {
			return nil, err
		}
		kind, _ := parse(t, m)
		p.calls <- kind
		if kind == fail {
			return rawOf("ErrorResponse", `{"resultCode":500}`), nil
		}
		return rawOf("Response", fmt.Sprintf(`{"resultCode":200,"supportAbilityNegotiation":%t}`, settles)), nil
	}
	bidi := func(_ any, s grpc.ServerStream) error {
		m := new(raw)
		if err := s.RecvMsg(m); err != nil {
			return err
		}
		if settles {
			if err := s.SendMsg(rawOf("SetupAckRequest", `{}`)); err != nil {
				return err
			}
		}
		go func() {
			for {
				m := new(raw)
				if s.RecvMsg(m) != nil {
					return
				}
				kind, value := parse(t, m)
				p.acks <- kind + " " + value
			}
		}()
		for {
			select {
			case m := <-p.push:
				if err := s.SendMsg(m); err != nil {
					return err
				}
			case <-s.Context().Done():
				return nil
			}
		}
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "Request", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "request", Handler: unary}}}, nil)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "BiRequestStream", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{StreamName: "requestBiStream", Handler: bidi, ServerStreams: true, ClientStreams: true}}}, nil)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-over })
	p.addr = l.Addr().String()
	return p
}

// told collects what a swarm tells.
type told struct {
	ready, push, answer chan Message
	lost                chan error
}

func newTold() (*told, Handler) {
	t := &told{make(chan Message, 100), make(chan Message, 100), make(chan Message, 100), make(chan error, 100)}
	return t, Handler{
		Ready:  func(c *Client) { t.ready <- Message{Size: c.N} },
		Push:   func(_ *Client, m Message) { t.push <- m },
		Answer: func(_ *Client, m Message) { t.answer <- m },
		Lost:   func(_ *Client, err error) { t.lost <- err },
	}
}

func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s within 10 s", what)
	}
	return v
}

func open(t *testing.T, n int, h Handler) *Swarm {
	t.Helper()
	s, err := New(n, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestSDKClient(t *testing.T) {
	p := newPeer(t, "")
	seen, h := newTold()
	s := open(t, 1, h)
	marker := "here it is"
	s.Mark([]byte(marker))
	d := NewDialer(Plan{Addr: p.addr, Module: "naming", Script: [][]byte{Payload("SubscribeServiceRequest", []byte(`{}`))}})
	c, err := s.Dial(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "readiness", seen.ready)
	for _, want := range []string{"ServerCheckRequest", "SubscribeServiceRequest"} {
		if got := receive(t, "call", p.calls); got != want {
			t.Errorf("call = %s, want %s", got, want)
		}
	}
	// Bodies that fit one read, one frame, and many frames.
	for i, size := range []int{10, 5_000, 100_000, 3 << 20} {
		for _, with := range []string{"", marker} {
			body := fmt.Sprintf(`{"fill":%q,"with":%q,"requestId":"%d"}`, strings.Repeat("x", size), with, i)
			p.push <- rawOf("NotifySubscriberRequest", body)
			m := receive(t, "push", seen.push)
			if m.Marked != (with != "") || m.Size < size {
				t.Errorf("push of %d bytes, with %q: Message = %+v", size, with, m)
			}
			kind, value, _ := strings.Cut(receive(t, "ack", p.acks), " ")
			var ack struct {
				ID   string `json:"requestId"`
				Code int    `json:"resultCode"`
			}
			if err := json.Unmarshal([]byte(value), &ack); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(i); kind != "NotifySubscriberResponse" || ack.ID != want || ack.Code != 200 {
				t.Errorf("ack = %s %+v, want id %s", kind, ack, want)
			}
		}
	}
	if err := c.Call(Payload("ConfigQueryRequest", []byte(`{}`))); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, "answer", seen.answer); !m.OK {
		t.Errorf("Call() = %+v, want a success", m)
	}
	// The question whether it lives is answered and told to nobody.
	p.push <- rawOf("ClientDetectionRequest", `{"requestId":"77"}`)
	if got := receive(t, "ack", p.acks); !strings.Contains(got, `"requestId":"77"`) {
		t.Errorf("ack = %s", got)
	}
	if len(seen.push) != 0 || len(seen.lost) != 0 {
		t.Errorf("pushes = %d, lost = %d, want none", len(seen.push), len(seen.lost))
	}
}

func TestSDKClientFails(t *testing.T) {
	tests := map[string]struct{ fail, want string }{
		"check":  {"ServerCheckRequest", `ErrorResponse`},
		"script": {"InstanceRequest", `ErrorResponse`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tt.fail)
			seen, h := newTold()
			s := open(t, 1, h)
			d := NewDialer(Plan{Addr: p.addr, Script: [][]byte{Payload("InstanceRequest", nil)}})
			if _, err := s.Dial(d, nil); err != nil {
				t.Fatal(err)
			}
			if err := receive(t, "loss", seen.lost); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Lost(%v), want %s in it", err, tt.want)
			}
		})
	}
}

// A peer that does not settle setups is given a moment (NAC-CON-07).
func TestBlindSetup(t *testing.T) {
	p := newPeerThat(t, "", false)
	seen, h := newTold()
	s := open(t, 1, h)
	begin := time.Now()
	if _, err := s.Dial(NewDialer(Plan{Addr: p.addr, Script: [][]byte{Payload("InstanceRequest", nil)}}), nil); err != nil {
		t.Fatal(err)
	}
	receive(t, "readiness", seen.ready)
	if took := time.Since(begin); took < blind {
		t.Errorf("ready after %v, want at least %v", took, blind)
	}
}

func TestMany(t *testing.T) {
	p := newPeer(t, "")
	seen, h := newTold()
	s := open(t, 300, h)
	p.calls, p.acks = make(chan string, 1000), make(chan string, 1000)
	d := NewDialer(Plan{Addr: p.addr})
	go func() {
		for range 300 {
			if _, err := s.Dial(d, nil); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 300 {
		receive(t, "readiness", seen.ready)
	}
	if _, err := s.Dial(d, nil); err == nil {
		t.Error("Dial() into a full swarm succeeded")
	}
}

func TestPoll(t *testing.T) {
	wake := make(chan string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("key") != "value" {
			t.Errorf("form = %v", r.Form)
		}
		body := <-wake
		if strings.HasPrefix(body, "chunked") {
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	seen, h := newTold()
	s := open(t, 1, h)
	request := []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nkey=value")
	c, err := s.DialPoll(strings.TrimPrefix(srv.URL, "http://"), request)
	if err != nil {
		t.Fatal(err)
	}
	wake <- "" // its time is over: it asks again
	wake <- "changed"
	if m := receive(t, "answer", seen.push); m.Size != len("changed") {
		t.Errorf("Push(%+v), want %d bytes", m, len("changed"))
	}
	if err := c.Send(request); err != nil {
		t.Fatal(err)
	}
	wake <- "chunked answer"
	receive(t, "answer", seen.push)
	if len(seen.lost) != 0 {
		t.Errorf("lost: %v", <-seen.lost)
	}
}

// Pieces of any size make the same message.
func TestMessagePieces(t *testing.T) {
	marker := []byte(`"port":4711`)
	body := Payload("NotifySubscriberRequest", []byte(`{"requestId":"1234567","hosts":["`+strings.Repeat("y", 300)+`",{"port":4711}],"resultCode":200}`))
	wire := append([]byte{0, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	wire = append(bytes.Clone(wire), wire...)
	for size := 1; size <= len(wire); size++ {
		var (
			m    = message{answer: true}
			seen int
		)
		for b := wire; len(b) > 0; {
			piece := b[:min(size, len(b))]
			b = b[len(piece):]
			for len(piece) > 0 {
				rest, over, err := m.feed(piece, marker)
				if err != nil {
					t.Fatal(err)
				}
				piece = rest
				if !over {
					continue
				}
				seen++
				if string(m.kind()) != "NotifySubscriberRequest" || string(m.requestID()) != "1234567" || !m.ok || !m.marked || m.size != len(body) {
					t.Fatalf("pieces of %d: kind %s, id %s, ok %v, marked %v, size %d", size, m.kind(), m.requestID(), m.ok, m.marked, m.size)
				}
			}
		}
		if seen != 2 {
			t.Fatalf("pieces of %d: %d messages, want 2", size, seen)
		}
	}
}
