package plugin

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/core/namespace"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// Host is everything a personality gets.
type Host interface {
	Core
	Env
	Registrar
	Points
}

// Core joins the contracts of core, scoped to the plugin: it sees its own
// tables only, and what it writes carries its name.
type Core interface {
	KV() kv.Store
	Leases() kv.Leases
	Locks() lock.Locks
	Txn() txn.Committer
	Configs() configstore.Configs
	// Registry reads the services of everybody.
	Registry() registry.Catalog
	// Ephemeral keeps this plugin's own instances that live in memory.
	Ephemeral() registry.Ephemeral
	Auth() auth.Auth
	Directory() auth.Directory
	Namespaces() namespace.Namespaces
	Cluster() cluster.Cluster
}

// Env is the surroundings of the plugin. None of it does I/O.
type Env interface {
	// Logger is named after the plugin.
	Logger() *zap.Logger
	// Metrics prefixes every name with batata_<plugin>_.
	Metrics() prometheus.Registerer
	// SharedMetrics has no prefix: for names that a protocol promises.
	SharedMetrics() prometheus.Registerer
	// Config is decoded, defaulted and validated; nil without a section.
	Config() Config
	// Prefixes are the effective ones of a mount, after configuration.
	Prefixes(mount string) []string
	// Encoder names an encoded form for package memo.
	Encoder(name string) memo.ID
}

// Registrar takes the plugin's handlers. It is legal inside New only; later
// calls panic, as do names that the manifest does not declare.
type Registrar interface {
	// HTTP serves a mount. Handlers run recovered, counted and bounded.
	HTTP(mount string, h http.Handler)
	// GRPC registers services on Main or on an own listener. Handlers get what those
	// of grpc-go get, whatever serves them: metadata, peer, deadline, headers.
	GRPC(listener string, register func(grpc.ServiceRegistrar), o RPC)
	// Serve and ServePacket run a protocol of the plugin's own until ctx ends.
	Serve(listener string, run func(context.Context, net.Listener) error)
	ServePacket(listener string, run func(context.Context, net.PacketConn) error)
	// Peer answers calls of the same plugin on other members, see
	// cluster.Cluster.Call, from Start to Shutdown. Handlers run recovered, 256
	// at once; they trust the body no more than any other input (CTR-L02).
	Peer(method string, handle PeerHandler)
	// Go runs a supervised worker from Start to Shutdown: recovered, restarted
	// with backoff when it fails, its context cancelled by Shutdown. A worker
	// that returns nil is done.
	Go(name string, run func(context.Context) error)
	// LeaderOnly is Go on the leading member; ctx ends when leadership is lost.
	LeaderOnly(name string, run func(context.Context) error)
}

// RPC says how the gRPC services of one registration are served. What concerns
// connections as such (TLS, windows, calls at once, silent clients) is the host's.
type RPC struct {
	Codec      encoding.CodecV2 // nil: protobuf
	MaxReceive int              // bytes of one message; 0: 4 MiB
	MaxSend    int              // 0: no limit
	Unary      grpc.UnaryServerInterceptor
	Stream     grpc.StreamServerInterceptor
	// Conn, when not nil, is called for each connection to the listener before its
	// first call. What calls get derives from the context that it returns; the
	// function is called when the connection has ended.
	Conn func(ctx context.Context, remote net.Addr) (context.Context, func())
}

// Detacher is implemented by the grpc.ServerStream of every host: a stream goes on
// when its handler has returned. It is for clients by the thousand that mostly wait,
// and where the host can do that such a stream has no goroutine.
type Detacher interface {
	// Detach takes the stream from its handler, which must return nil soon, and must
	// not receive from the stream any more. r is told nothing before that.
	Detach(r Receiver) Detached
}

// Receiver is told what happens to a detached stream, one call at a time. It must
// return quickly: other calls of the connection wait meanwhile.
type Receiver interface {
	// Receive takes the next message, which decode reads. An error ends the stream.
	Receive(decode func(any) error) error
	// Writable follows once each Send that was the last for a while.
	Writable()
	// Over comes last: the client has said everything, or the stream has ended.
	Over()
}

// Detached is a stream without a handler. It is safe for concurrent use.
type Detached interface {
	// Send encodes a message before it returns, and queues what the codec made of it,
	// which must not change; it never waits for the client. Without more it takes
	// nothing: send again when Writable was called.
	Send(m any) (more bool, err error)
	// End ends the stream with a status; nil is OK.
	End(err error)
}

// PeerHandler answers one call of the member from.
type PeerHandler func(ctx context.Context, from uint64, body []byte) ([]byte, error)

// RouteNamer is implemented by the http.ResponseWriter that the host hands to
// mounted handlers. A handler that has found its route says so, and requests are
// counted under the pattern; without it they are counted under the prefix of
// the mount.
type RouteNamer interface{ NameRoute(pattern string) }

// Parker is implemented by the http.ResponseWriter of hosts that can keep a
// request waiting without its handler: no goroutine of the handler, no buffers of
// HTTP. It is for long polls and blocking queries by the thousand. A host need not
// have it; the handler then waits as usual.
type Parker interface {
	// Park takes the request from its handler, which must have read the body to
	// its end, and must return soon and touch neither writer nor request again, nor
	// the context of the request, which ends with the handler. False means that
	// nothing has happened: not every request can be parked.
	//
	// Unless the request is answered before, over is called once: at until, when
	// the request still waits for its answer, or when the client is gone. It must
	// return quickly; it may come before Park has returned. What was not answered
	// when the server closes its connections, after Drain, is gone.
	Park(until time.Time, over func(gone bool)) (Parked, bool)
}

// Parked is a request that waits. It is safe for concurrent use.
type Parked interface {
	// Answer sends an answer; the first one counts. It never waits for the client.
	Answer(r *Response)
}

// Response is an answer to parked requests. It is encoded once for all who get the
// same one, so it must not change any more.
type Response struct {
	Status int // one that has a body
	// Header is all but the date and the length of the body.
	Header http.Header
	Body   []byte
}
