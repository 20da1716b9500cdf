package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// patterns are bytes that differ enough for a wrong order to show.
var patterns = func() []byte {
	b := make([]byte, 10<<20)
	for i := range b {
		b[i] = byte(i*7 + i>>10)
	}
	return b
}()

func pattern(n int) []byte { return patterns[:n:n] }

// Messages of every size come through in both directions, also those larger than
// windows and frames.
func TestEcho(t *testing.T) {
	_, addr := serve(t, &service{}, func(_ *Settings, o *Options) { o.MaxReceive = 16 << 20 })
	for name, opts := range map[string][]grpc.DialOption{
		"small windows": {grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)},
		"large windows": {grpc.WithStaticStreamWindowSize(8 << 20), grpc.WithStaticConnWindowSize(16 << 20)},
		"as usual":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr, opts...)
			for _, n := range []int{0, 1, 100, 5 << 10, 16<<10 - 5, 16 << 10, 70 << 10, 300 << 10, 10 << 20} {
				out := new(value)
				if err := conn.Invoke(patient(t), unaryPath, wrapperspb.Bytes(pattern(n)), out); err != nil {
					t.Fatalf("Unary(%d bytes) = %v", n, err)
				}
				if !bytes.Equal(out.GetValue(), pattern(n)) {
					t.Errorf("Unary(%d bytes) = %d others", n, len(out.GetValue()))
				}
			}
			st, err := conn.NewStream(patient(t), bidi, streamPath)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{0, 1, 100, 40 << 10, 1 << 20, 3, 5 << 20} {
				out := new(value)
				if err := errors.Join(st.SendMsg(wrapperspb.Bytes(pattern(n))), st.RecvMsg(out)); err != nil {
					t.Fatalf("Stream(%d bytes) = %v", n, err)
				}
				if !bytes.Equal(out.GetValue(), pattern(n)) {
					t.Errorf("Stream(%d bytes) = %d others", n, len(out.GetValue()))
				}
			}
			if err := errors.Join(st.CloseSend(), st.RecvMsg(new(value))); !errors.Is(err, io.EOF) {
				t.Errorf("RecvMsg() at the end = %v, want EOF", err)
			}
		})
	}
}

// Handlers get what grpc gives them: metadata, peer, deadline, headers and
// trailers; errors carry code, message and details.
func TestSurroundings(t *testing.T) {
	type key struct{}
	ended := make(chan struct{})
	svc := &service{unary: func(ctx context.Context, v *value) (*value, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		p, _ := peer.FromContext(ctx)
		_, deadline := ctx.Deadline()
		method, _ := grpc.Method(ctx)
		if got := md.Get("x-text"); len(got) != 2 || got[1] != "b" {
			t.Errorf("x-text = %q, want a and b", got)
		}
		if got := md.Get("x-raw-bin"); len(got) != 1 || got[0] != "\x00\xff" {
			t.Errorf("x-raw-bin = %q, want two bytes", got)
		}
		if len(md.Get("user-agent")) != 1 || len(md.Get(":authority")) != 1 || len(md.Get("grpc-timeout")) != 0 {
			t.Errorf("metadata = %v, want an agent, an authority and no timeout", md)
		}
		if p == nil || p.Addr == nil || !deadline || method != unaryPath || ctx.Value(key{}) != "conn" {
			t.Errorf("peer %v, deadline %t, method %s, value %v", p, deadline, method, ctx.Value(key{}))
		}
		if err := errors.Join(grpc.SetHeader(ctx, metadata.Pairs("x-head", "1", "x-head-bin", "\x01\xfe")),
			grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "2", "connection", "no"))); err != nil {
			t.Error(err)
		}
		if string(v.GetValue()) == "fail" {
			return nil, status.Error(codes.AlreadyExists, "schön 100%\nwar es")
		}
		return v, nil
	}}
	_, addr := serve(t, svc, func(s *Settings, _ *Options) {
		s.Conn = func(ctx context.Context, _ net.Addr) (context.Context, func()) {
			return context.WithValue(ctx, key{}, "conn"), func() { close(ended) }
		}
	})
	conn := dial(t, addr)
	ctx := metadata.AppendToOutgoingContext(patient(t), "x-text", "a", "x-text", "b", "x-raw-bin", "\x00\xff")
	for _, in := range []string{"", "fail", ""} {
		var head, tail metadata.MD
		err := conn.Invoke(ctx, unaryPath, wrapperspb.String(in), new(value), grpc.Header(&head), grpc.Trailer(&tail))
		if in == "fail" {
			if st := status.Convert(err); st.Code() != codes.AlreadyExists || st.Message() != "schön 100%\nwar es" {
				t.Errorf("Unary(fail) = %v, want AlreadyExists with its message", err)
			}
			continue
		}
		if err != nil || len(head.Get("x-head")) != 1 || head.Get("x-head-bin")[0] != "\x01\xfe" || len(tail.Get("x-tail")) != 1 || len(tail.Get("connection")) != 0 {
			t.Errorf("Unary() = %v, header %v, trailer %v", err, head, tail)
		}
	}
	_ = conn.Close()
	<-ended
}

// SEC-20: one connection may have 128 calls open; the next one waits, and is served
// when one has ended.
func TestStreamLimit(t *testing.T) {
	_, addr := serve(t, &service{})
	conn := dial(t, addr)
	var last grpc.ClientStream
	for n := range maxStreams {
		st, err := conn.NewStream(patient(t), bidi, streamPath)
		if err != nil {
			t.Fatalf("stream %d = %v", n, err)
		}
		last = st
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := conn.Invoke(ctx, unaryPath, wrapperspb.String("x"), new(value)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("call 129 = %v, want it to wait", err)
	}
	_ = last.CloseSend()
	if err := conn.Invoke(patient(t), unaryPath, wrapperspb.String("x"), new(value)); err != nil {
		t.Errorf("call 129 after one has ended = %v", err)
	}
}
