package rpc

import (
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// reference serves the same with grpc-go.
func reference(tb testing.TB, svc *service) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := grpc.NewServer(grpc.NumStreamWorkers(512), grpc.ReadBufferSize(4<<10),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow))
	s.RegisterService(svc.desc(), nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	tb.Cleanup(func() {
		s.Stop()
		<-done
	})
	return l.Addr().String()
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// calls makes raw unary calls, one at a time on each connection, by a client that
// costs next to nothing: the rest is the server.
func calls(b *testing.B, addr string) {
	b.Helper()
	const conns = 32
	clients := make([]*wire, conns)
	for i := range clients {
		clients[i] = newWire(b, addr)
		clients[i].call(b, 200)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := cpu()
	b.ResetTimer()
	var group sync.WaitGroup
	for i, c := range clients {
		n := b.N / conns
		if i == 0 {
			n += b.N % conns
		}
		group.Go(func() {
			for range n {
				c.call(b, 200)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N), "B/op")
}

// BenchmarkUnary is a call with 200 bytes each way, client included.
func BenchmarkUnary(b *testing.B) {
	svc := &service{unary: echo, stream: echoAll}
	b.Run("own", func(b *testing.B) {
		_, addr := serve(b, svc)
		calls(b, addr)
	})
	b.Run("grpc-go", func(b *testing.B) { calls(b, reference(b, svc)) })
}

// BenchmarkPush sends one message to 1,000 streams and waits until all have it.
func BenchmarkPush(b *testing.B) {
	push := func(b *testing.B, listen func(*service) string) {
		b.Helper()
		var mu sync.Mutex
		var streams []grpc.ServerStream
		svc := &service{unary: echo, stream: func(st grpc.ServerStream) error {
			mu.Lock()
			streams = append(streams, st)
			mu.Unlock()
			<-st.Context().Done()
			return nil
		}}
		addr := listen(svc)
		const conns = 1000
		clients := make([]*wire, conns)
		var base runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&base)
		for i := range clients {
			clients[i] = newWire(b, addr)
			clients[i].open(b)
		}
		for {
			mu.Lock()
			n := len(streams)
			mu.Unlock()
			if n == conns {
				break
			}
			runtime.Gosched()
		}
		runtime.GC()
		runtime.GC()
		var rest runtime.MemStats
		runtime.ReadMemStats(&rest)
		begin := cpu()
		b.ResetTimer()
		m := wrapperspb.Bytes(pattern(200))
		for range b.N {
			for _, st := range streams {
				_ = st.SendMsg(m)
			}
			for _, c := range clients {
				c.message(b, 200)
			}
		}
		b.StopTimer()
		b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N)/conns, "cpu-ns/push")
		b.ReportMetric(float64(rest.HeapAlloc-base.HeapAlloc+rest.StackInuse-base.StackInuse)/conns, "B/conn")
	}
	b.Run("own", func(b *testing.B) {
		push(b, func(svc *service) string {
			_, addr := serve(b, svc)
			return addr
		})
	})
	b.Run("grpc-go", func(b *testing.B) { push(b, func(svc *service) string { return reference(b, svc) }) })
}
