package streamtest

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Patience bounds every wait; a test that needs it has failed.
const Patience = 20 * time.Second

// Serve serves s on a port of loopback until the end of the test, and returns
// its address. Further workers run until then too.
func Serve(tb testing.TB, s *stream.Server, workers ...func(context.Context) error) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("Listen() = %v", err)
	}
	server := grpc.NewServer(inproc.ServerOptions(s.Options())...)
	s.Register(server)
	ctx, stop := context.WithCancel(tb.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := server.Serve(listener); err != nil {
			tb.Errorf("Serve() = %v", err)
		}
	})
	for _, run := range workers {
		group.Go(func() {
			if err := run(ctx); err != nil {
				tb.Errorf("worker = %v", err)
			}
		})
	}
	tb.Cleanup(func() {
		s.Drain()
		server.Stop()
		stop()
		group.Wait()
	})
	return listener.Addr().String()
}

// Client is one transport, and its stream once it is open.
type Client struct {
	T    testing.TB
	Conn *grpc.ClientConn
	IP   string // the address that the client says it has

	stream nacospb.BiRequestStream_RequestBiStreamClient
	pushed chan *nacospb.Payload
	end    error  // of the stream; read it when pushed is closed
	lastID string // request id of the last push
}

// Dial opens a transport of a client that says it has an address.
func Dial(tb testing.TB, address, ip string) *Client {
	tb.Helper()
	const large = 64 << 20
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(large), grpc.MaxCallSendMsgSize(large)))
	if err != nil {
		tb.Fatalf("NewClient() = %v", err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &Client{T: tb, Conn: conn, IP: ip}
}

// Connect opens a transport and registers it with these labels.
func Connect(tb testing.TB, address, ip string, labels map[string]string) *Client {
	tb.Helper()
	c := Dial(tb, address, ip)
	c.Send("ConnectionSetupRequest", JSON(tb, map[string]any{
		"clientVersion": "test", "labels": labels, "abilityTable": map[string]bool{},
	}))
	if p := c.Next(); p.GetMetadata().GetType() != "SetupAckRequest" {
		tb.Fatalf("after setup got %v, want SetupAckRequest", p)
	}
	return c
}

// Payload is a message of the client.
func (c *Client) Payload(kind string, headers map[string]string, body []byte) *nacospb.Payload {
	return &nacospb.Payload{
		Metadata: &nacospb.Metadata{Type: kind, ClientIp: c.IP, Headers: headers},
		Body:     &anypb.Any{Value: body},
	}
}

// Call makes a unary call and returns class and body of the answer.
func (c *Client) Call(kind string, headers map[string]string, body []byte) (string, []byte) {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	out, err := nacospb.NewRequestClient(c.Conn).Request(ctx, c.Payload(kind, headers, body))
	if err != nil {
		c.T.Fatalf("Request(%s) = %v", kind, err)
	}
	return out.GetMetadata().GetType(), out.GetBody().GetValue()
}

// Send writes to the stream, which it opens first.
func (c *Client) Send(kind string, body []byte) {
	c.T.Helper()
	if c.stream == nil {
		s, err := nacospb.NewBiRequestStreamClient(c.Conn).RequestBiStream(context.Background())
		if err != nil {
			c.T.Fatalf("RequestBiStream() = %v", err)
		}
		const room = 1000 // more than any test leaves unread
		c.stream, c.pushed = s, make(chan *nacospb.Payload, room)
		go c.read()
	}
	if err := c.stream.Send(c.Payload(kind, nil, body)); err != nil {
		c.T.Fatalf("Send(%s) = %v", kind, err)
	}
}

// read takes what the server sends until the stream ends.
func (c *Client) read() {
	defer close(c.pushed)
	for {
		p, err := c.stream.Recv()
		if err != nil {
			c.end = err
			return
		}
		select {
		case c.pushed <- p:
		case <-c.stream.Context().Done():
			return
		}
	}
}

// Next waits for a message of the server.
func (c *Client) Next() *nacospb.Payload {
	c.T.Helper()
	select {
	case p, ok := <-c.pushed:
		if !ok {
			c.T.Fatal("the stream ended, want a message")
		}
		var id struct {
			ID string `json:"requestId"`
		}
		if json.Unmarshal(p.GetBody().GetValue(), &id) == nil {
			c.lastID = id.ID
		}
		return p
	case <-time.After(Patience):
		c.T.Fatal("no message of the server")
	}
	return nil
}

// Acknowledge answers the last message of the server.
func (c *Client) Acknowledge(kind string) {
	c.T.Helper()
	c.Send(kind, JSON(c.T, map[string]any{"resultCode": 200, "requestId": c.lastID}))
}

// Pending is the number of messages that came and were not taken.
func (c *Client) Pending() int { return len(c.pushed) }

// Ended waits for the end of the stream; messages before it are dropped.
func (c *Client) Ended() { _ = c.End() }

// End is Ended, and returns what the stream ended with: io.EOF for status 0.
func (c *Client) End() error {
	c.T.Helper()
	limit := time.After(Patience)
	for {
		select {
		case _, ok := <-c.pushed:
			if !ok {
				return c.end
			}
		case <-limit:
			c.T.Fatal("the stream goes on, want its end")
			return nil
		}
	}
}

// Eventually asks until the answer is yes.
func Eventually(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	const pause = 5 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	limit := time.After(Patience)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			tb.Fatalf("%s: still not so", what)
		}
	}
}

// JSON renders v.
func JSON(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Probe is a type of tests: Inside gets the context of a call by it.
const typeProbe = "ProbeRequest"

// Probe lets Inside work; the server must have been given it before it serves.
type Probe struct{ contexts chan context.Context }

// NewProbe registers the type of the probe.
func NewProbe(s *stream.Server) *Probe {
	p := &Probe{contexts: make(chan context.Context, 1)}
	s.Handle(typeProbe, stream.Handler{
		Response: "ProbeResponse",
		Handle: func(ctx context.Context, _ *stream.Call) (stream.Answer, error) {
			p.contexts <- context.WithoutCancel(ctx)
			return stream.Encode("ProbeResponse", stream.OK), nil
		},
	})
	return p
}

// Inside returns the context of a call on the connection, for calls of the
// server without the transport between.
func (p *Probe) Inside(c *Client) context.Context {
	c.T.Helper()
	if kind, body := c.Call(typeProbe, nil, []byte("{}")); kind != "ProbeResponse" {
		c.T.Fatalf("%s = %s %s", typeProbe, kind, body)
	}
	return <-p.contexts
}
