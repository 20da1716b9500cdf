package rpc

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; a test that needs it has failed.
const patience = 20 * time.Second

type value = wrapperspb.BytesValue

// service is what tests call: functions by method.
type service struct {
	unary  func(context.Context, *value) (*value, error)
	stream func(grpc.ServerStream) error
	more   []*grpc.ServiceDesc
}

func (s *service) desc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Service", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Unary",
			Handler: func(_ any, ctx context.Context, decode func(any) error, next grpc.UnaryServerInterceptor) (any, error) {
				in := new(value)
				if err := decode(in); err != nil {
					return nil, err
				}
				call := func(ctx context.Context, req any) (any, error) {
					out, err := s.unary(ctx, req.(*value))
					return out, err
				}
				if next == nil {
					return call(ctx, in)
				}
				return next(ctx, in, &grpc.UnaryServerInfo{FullMethod: unaryPath}, call)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName: "Stream", ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, st grpc.ServerStream) error { return s.stream(st) },
		}},
	}
}

const (
	unaryPath  = "/test.Service/Unary"
	streamPath = "/test.Service/Stream"
)

var bidi = &grpc.StreamDesc{StreamName: "Stream", ClientStreams: true, ServerStreams: true}

func echo(_ context.Context, v *value) (*value, error) { return v, nil }

// echoAll answers every message of a stream with itself.
func echoAll(st grpc.ServerStream) error {
	for {
		v := new(value)
		if err := st.RecvMsg(v); err != nil {
			return nil //nolint:nilerr // the end
		}
		if err := st.SendMsg(v); err != nil {
			return err
		}
	}
}

// serve serves on a port of loopback until the end of the test.
func serve(tb testing.TB, svc *service, edit ...func(*Settings, *Options)) (*Server, string) {
	tb.Helper()
	if svc.unary == nil {
		svc.unary = echo
	}
	if svc.stream == nil {
		svc.stream = echoAll
	}
	set, opt := Settings{Logger: zap.NewNop()}, Options{}
	for _, f := range edit {
		f(&set, &opt)
	}
	s := New(set)
	for _, desc := range append(svc.more, svc.desc()) {
		s.With(opt).RegisterService(desc, nil)
	}
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); err != ErrStopped { //nolint:errorlint // as it is
			tb.Errorf("Serve() = %v, want ErrStopped", err)
		}
	}()
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
		cancel()
		s.Shutdown(ctx)
		select {
		case <-done:
		case <-time.After(patience):
			tb.Error("Serve() does not end")
		}
	})
	return s, l.Addr().String()
}

func dial(tb testing.TB, addr string, o ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
	}, o...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}
