package peer

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/internal/raftnode"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// The limits of what comes in (ARC-S12, CTR-B10).
const (
	maxMessage  = 16 << 20
	maxHeader   = 16 << 10
	maxStreams  = 512
	maxConns    = 1024
	maxAnnounce = 64 << 10 // bytes of the message that announces a snapshot
)

// Door answers who is not a member yet. It exists before the group does.
type Door interface {
	Describe(ctx context.Context, r *peerv1.DescribeRequest) (*peerv1.DescribeReply, error)
	Join(ctx context.Context, r *peerv1.JoinRequest) (*peerv1.JoinReply, error)
}

// Standing says what a node id is to the group.
type Standing uint8

const (
	// Unknown is an id that this member has not heard of, perhaps not yet.
	Unknown Standing = iota
	// Member is an id in the group.
	Member
	// Removed is an id that was taken out and never comes back.
	Removed
)

// Group is what members reach.
type Group interface {
	Standing(id uint64) Standing
	Step(ctx context.Context, m *raftpb.Message) error
	ReceiveSnapshot(ctx context.Context, m *raftpb.Message, r io.Reader) error
	Accept(ctx context.Context, b *raftnode.Batch) (raftnode.Verdict, error)
	Call(ctx context.Context, from uint64, service, method string, body []byte) ([]byte, error)
	Pinged(from uint64, r *peerv1.PingRequest) *peerv1.PingReply
}

// ServerOptions wire a Server; all but TLS and Logger are required.
type ServerOptions struct {
	Secret []byte // of the cluster, at least MinSecret bytes
	Self   Self
	Door   Door
	TLS    *tls.Config // nil: a certificate made at start
	Logger *zap.Logger
}

// Server answers other members.
type Server struct {
	peerv1.UnimplementedPeerServer

	self   Self
	door   Door
	logger *zap.Logger
	grpc   *grpc.Server
	group  atomic.Pointer[Group]
	warned warned
	done   chan struct{}
	served atomic.Bool
}

// NewServer returns a server that does not listen yet.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	h, err := newHandshaker(o.Secret)
	if err != nil {
		return nil, err
	}
	own, err := selfSigned()
	if err != nil {
		return nil, err
	}
	s := &Server{self: o.Self, door: o.Door, logger: o.Logger, done: make(chan struct{})}
	s.grpc = grpc.NewServer(
		grpc.Creds(&creds{handshaker: h, self: o.Self, tls: serverTLS(o.TLS, own), refused: s.refused}),
		grpc.ConnectionTimeout(2*handshakeTimeout),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeader), grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(windowSize), grpc.InitialConnWindowSize(2*windowSize),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
	)
	peerv1.RegisterPeerServer(s.grpc, s)
	return s, nil
}

// Serve answers on l until Close. It returns at once.
func (s *Server) Serve(l net.Listener) {
	s.served.Store(true)
	go func() {
		defer close(s.done)
		if err := s.grpc.Serve(&limitListener{Listener: l, room: make(chan struct{}, maxConns)}); err != nil {
			s.logger.Debug("peer server ended", zap.Error(err))
		}
	}()
}

// Open lets members in.
func (s *Server) Open(g Group) { s.group.Store(&g) }

// Close ends all connections and waits for what was under way. It is
// idempotent.
func (s *Server) Close() {
	s.grpc.Stop()
	if s.served.Load() {
		<-s.done
	}
}

// refused warns about connections that were turned away, once in a while.
func (s *Server) refused(addr net.Addr, err error) {
	if s.warned.now(err.Error()) {
		s.logger.Warn("connection of a member refused", zap.String("remote", addr.String()), zap.Error(err))
	}
}

// member returns the group and the member that calls, or a status that says why
// it may not.
func (s *Server) member(ctx context.Context) (Group, uint64, error) {
	r, ok := remoteOf(ctx)
	if !ok {
		return nil, 0, status.Error(codes.Unauthenticated, "no greeting")
	}
	g := s.group.Load()
	if g == nil {
		return nil, 0, status.Error(codes.FailedPrecondition, "this member is in no group yet")
	}
	if own := s.self.Cluster(); r.Cluster != own {
		return nil, 0, status.Error(codes.FailedPrecondition, (&ForeignError{Found: r.Cluster, Own: own}).Error())
	}
	switch (*g).Standing(r.Member) {
	case Member:
		return *g, r.Member, nil
	case Removed:
		return nil, 0, status.Errorf(codes.PermissionDenied, "member %016x was removed from the cluster", r.Member)
	case Unknown:
	}
	return nil, 0, status.Errorf(codes.Unauthenticated, "member %016x is not known here", r.Member)
}

// unary recovers handlers: one message must not end the member.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(info.FullMethod, p)
		}
	}()
	return h(ctx, req)
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(info.FullMethod, p)
		}
	}()
	return h(srv, ss)
}

func (s *Server) panicked(method string, p any) error {
	s.logger.Error("handler of a member panicked", zap.String("method", method), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	return status.Error(codes.Internal, "internal error")
}

// Describe implements peerv1.PeerServer.
func (s *Server) Describe(ctx context.Context, r *peerv1.DescribeRequest) (*peerv1.DescribeReply, error) {
	return s.door.Describe(ctx, r)
}

// Join implements peerv1.PeerServer.
func (s *Server) Join(ctx context.Context, r *peerv1.JoinRequest) (*peerv1.JoinReply, error) {
	if from, ok := remoteOf(ctx); !ok || from.Member != r.GetMember() {
		return nil, status.Error(codes.InvalidArgument, "a member joins for itself only")
	}
	return s.door.Join(ctx, r)
}

// Ping implements peerv1.PeerServer.
func (s *Server) Ping(ctx context.Context, r *peerv1.PingRequest) (*peerv1.PingReply, error) {
	g, from, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	return g.Pinged(from, r), nil
}

// Propose implements peerv1.PeerServer.
func (s *Server) Propose(ctx context.Context, r *peerv1.ProposeRequest) (*peerv1.ProposeReply, error) {
	g, _, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	v, err := g.Accept(ctx, &raftnode.Batch{
		Term: r.GetTerm(), Origin: r.GetOrigin(), Seq: r.GetSeq(), Low: r.GetLow(), Commands: r.GetCommands(),
	})
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &peerv1.ProposeReply{Taken: uint32(v.Taken), Reason: peerv1.ProposeReply_Reason(v.Reason)}, nil
}

// Call implements peerv1.PeerServer.
func (s *Server) Call(ctx context.Context, r *peerv1.CallRequest) (*peerv1.CallReply, error) {
	g, from, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	body, err := g.Call(ctx, from, r.GetService(), r.GetMethod(), r.GetBody())
	switch {
	case err != nil && ctx.Err() != nil: // the caller has given up as well, or is about to
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return nil, callStatus(err)
	}
	return &peerv1.CallReply{Body: body}, nil
}
