package configrpc_test

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/configrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// patience bounds every wait; a test that needs it has failed.
const patience = 20 * time.Second

// typeProbe is a type of the tests: it hands out the context of a call.
const typeProbe = "ProbeRequest"

// rig is a real node with a real gRPC server in front.
type rig struct {
	core      plugin.Core
	directory auth.Directory
	configs   *config.Service
	api       *configrpc.API
	server    *stream.Server
	address   string

	probed  chan context.Context // of calls of typeProbe
	mu      sync.Mutex           // guards changes
	changes []configstore.Key    // told to listeners, in order
}

func newRig(tb testing.TB, switches authmap.Switches) *rig {
	tb.Helper()
	node, err := core.Start(tb.Context(), core.Config{DataDir: tb.TempDir(), Durability: core.OS})
	if err != nil {
		tb.Fatalf("Start() = %v", err)
	}
	tb.Cleanup(func() {
		if err := node.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	r := &rig{directory: node.Directory(), probed: make(chan context.Context, 1)}
	if r.core, err = node.Attach(tb.Context(), "nacos", nil); err != nil {
		tb.Fatalf("Attach() = %v", err)
	}
	r.configs = config.New(config.Settings{Configs: r.core.Configs(), Store: r.core.KV(), Committer: r.core.Txn()})
	r.server, err = stream.New(stream.Settings{
		Gate: authmap.NewGate(r.core.Auth(), switches), Logger: zap.NewNop(), Metrics: prometheus.NewRegistry(),
		Ready: node.Ready, Abilities: map[string]bool{},
	})
	if err != nil {
		tb.Fatalf("New() = %v", err)
	}
	r.api = configrpc.New(configrpc.Settings{Configs: r.configs, Encoder: 1, Timeout: 3 * time.Second, Retries: 50})
	r.api.Register(r.server)
	r.server.Handle(typeProbe, stream.Handler{
		Response: "ProbeResponse",
		Handle: func(ctx context.Context, _ *stream.Call) (stream.Answer, error) {
			r.probed <- context.WithoutCancel(ctx)
			return stream.Encode("ProbeResponse", stream.OK), nil
		},
	})
	r.run(tb)
	return r
}

// run serves, and follows the changes; it returns when both have begun.
func (r *rig) run(tb testing.TB) {
	tb.Helper()
	following := make(chan struct{})
	r.configs.OnChange(func(c configstore.Change) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes = append(r.changes, c.Key)
	}, sync.OnceFunc(func() { close(following) }))
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("Listen() = %v", err)
	}
	r.address = listener.Addr().String()
	grpcServer := grpc.NewServer(r.server.Options()...)
	r.server.Register(grpcServer)
	ctx, stop := context.WithCancel(tb.Context())
	var workers sync.WaitGroup
	workers.Go(func() {
		if err := grpcServer.Serve(listener); err != nil {
			tb.Errorf("Serve() = %v", err)
		}
	})
	workers.Go(func() {
		if err := r.configs.Run(ctx); err != nil {
			tb.Errorf("Run() = %v", err)
		}
	})
	tb.Cleanup(func() {
		stop()
		r.server.Drain()
		grpcServer.Stop()
		workers.Wait()
	})
	select {
	case <-following:
	case <-time.After(patience):
		tb.Fatal("Run() has not begun")
	}
}

// told says how many changes listeners were told of, for each config.
func (r *rig) told() map[configstore.Key]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[configstore.Key]int{}
	for _, k := range r.changes {
		out[k]++
	}
	return out
}

// publish stores content past the transport.
func (r *rig) publish(tb testing.TB, dataID, tenant, content string) {
	tb.Helper()
	err := r.configs.Publish(tb.Context(), auth.Actor{Protocol: "nacos"}, config.Publish{
		DataID: dataID, Group: "G", Tenant: tenant, Content: []byte(content),
	})
	if err != nil {
		tb.Fatalf("Publish(%s) = %v", dataID, err)
	}
}

// client is one transport, and its stream once it is open.
type client struct {
	t       testing.TB
	conn    *grpc.ClientConn
	stream  nacospb.BiRequestStream_RequestBiStreamClient
	pushed  chan *nacospb.Payload
	ip      string
	fences  int    // changes published to mark a place in the stream
	lastPsh string // request id of the last push
}

// dial opens a transport; ip is the address that the client says it has.
func (r *rig) dial(tb testing.TB, ip string) *client {
	tb.Helper()
	conn, err := grpc.NewClient("passthrough:///"+r.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		tb.Fatalf("NewClient() = %v", err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &client{t: tb, conn: conn, ip: ip}
}

// connect opens a transport and registers it with these labels.
func (r *rig) connect(tb testing.TB, ip string, labels map[string]string) *client {
	tb.Helper()
	c := r.dial(tb, ip)
	body, err := json.Marshal(map[string]any{"clientVersion": "test", "labels": labels, "abilityTable": map[string]bool{}})
	if err != nil {
		tb.Fatal(err)
	}
	c.send("ConnectionSetupRequest", body)
	if p := c.next(); p.GetMetadata().GetType() != "SetupAckRequest" {
		tb.Fatalf("after setup got %v, want SetupAckRequest", p)
	}
	return c
}

func (c *client) payload(kind string, headers map[string]string, body []byte) *nacospb.Payload {
	return &nacospb.Payload{
		Metadata: &nacospb.Metadata{Type: kind, ClientIp: c.ip, Headers: headers},
		Body:     &anypb.Any{Value: body},
	}
}

// call makes a unary call and returns class and body of the answer.
func (c *client) call(kind string, headers map[string]string, body []byte) (string, []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := nacospb.NewRequestClient(c.conn).Request(ctx, c.payload(kind, headers, body))
	if err != nil {
		c.t.Fatalf("Request(%s) = %v", kind, err)
	}
	return out.GetMetadata().GetType(), out.GetBody().GetValue()
}

// send writes to the stream, which it opens first.
func (c *client) send(kind string, body []byte) {
	c.t.Helper()
	if c.stream == nil {
		s, err := nacospb.NewBiRequestStreamClient(c.conn).RequestBiStream(context.Background())
		if err != nil {
			c.t.Fatalf("RequestBiStream() = %v", err)
		}
		c.stream, c.pushed = s, make(chan *nacospb.Payload, 1000)
		go func(pushed chan<- *nacospb.Payload) {
			defer close(pushed)
			for {
				p, err := s.Recv()
				if err != nil {
					return
				}
				pushed <- p
			}
		}(c.pushed)
	}
	if err := c.stream.Send(c.payload(kind, nil, body)); err != nil {
		c.t.Fatalf("Send(%s) = %v", kind, err)
	}
}

// next waits for a message of the server.
func (c *client) next() *nacospb.Payload {
	c.t.Helper()
	select {
	case p, ok := <-c.pushed:
		if !ok {
			c.t.Fatal("the stream ended, want a message")
		}
		return p
	case <-time.After(patience):
		c.t.Fatal("no message of the server")
	}
	return nil
}

// ended waits for the end of the stream; messages before it are dropped.
func (c *client) ended() {
	c.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-c.pushed:
			if !ok {
				return
			}
		case <-limit:
			c.t.Fatal("the stream goes on, want its end")
		}
	}
}

// eventually asks until the answer is yes.
func eventually(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			tb.Fatalf("%s: still not so", what)
		}
	}
}

// inside returns the context of a call on the connection, for calls of the
// server without the transport between.
func (r *rig) inside(c *client) context.Context {
	c.t.Helper()
	if kind, body := c.call(typeProbe, nil, []byte("{}")); kind != "ProbeResponse" {
		c.t.Fatalf("%s = %s %s", typeProbe, kind, body)
	}
	return <-r.probed
}

func jsonOf(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
