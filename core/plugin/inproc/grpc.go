package inproc

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/easynet-cn/batata/core/plugin"
)

// ServerOptions are those by which a server of grpc-go does what a registration
// asks for. Options of several registrations on one server are joined, and of their
// codecs and limits the last ones count.
func ServerOptions(o plugin.RPC) []grpc.ServerOption {
	codec := passCodec(o.Codec)
	out := []grpc.ServerOption{grpc.ForceServerCodecV2(codec), grpc.ChainStreamInterceptor(detaching(codec.CodecV2))}
	if o.MaxReceive != 0 {
		out = append(out, grpc.MaxRecvMsgSize(o.MaxReceive))
	}
	if o.MaxSend != 0 {
		out = append(out, grpc.MaxSendMsgSize(o.MaxSend))
	}
	if o.Unary != nil {
		out = append(out, grpc.ChainUnaryInterceptor(o.Unary))
	}
	if o.Stream != nil {
		out = append(out, grpc.ChainStreamInterceptor(o.Stream))
	}
	if o.Conn != nil {
		out = append(out, grpc.StatsHandler(&connHook{o.Conn}))
	}
	return out
}

// connHook calls the hook of connections. It is the key of what it returned.
type connHook struct {
	hook func(context.Context, net.Addr) (context.Context, func())
}

var _ stats.Handler = (*connHook)(nil)

// TagConn implements stats.Handler.
func (h *connHook) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	addr := info.RemoteAddr
	if addr == nil {
		addr = &net.TCPAddr{}
	}
	ctx, end := h.hook(ctx, addr)
	return context.WithValue(ctx, h, end)
}

// HandleConn implements stats.Handler.
func (h *connHook) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, over := s.(*stats.ConnEnd); !over {
		return
	}
	if end, ok := ctx.Value(h).(func()); ok {
		end()
	}
}

// TagRPC implements stats.Handler.
func (*connHook) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (*connHook) HandleRPC(context.Context, stats.RPCStats) {}
