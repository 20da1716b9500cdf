package core

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/txn"
)

// BenchmarkPublish is the part of a config publish that lies below the
// protocols: 64 writers, new items of 256 bytes, on a real node. It reports what
// the whole process spent for one, all threads together, since elapsed time says
// little on a shared machine.
func BenchmarkPublish(b *testing.B) {
	for _, d := range []Durability{Fsync, OS} {
		b.Run(string(d), func(b *testing.B) {
			n := startWith(b, Config{DataDir: b.TempDir(), Durability: d})
			b.ReportAllocs()
			b.ResetTimer()
			begin := processorTime(b)
			publishAll(b, n, "k", b.N)
			b.ReportMetric(float64((processorTime(b)-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// publishAll publishes new configs by 64 writers.
func publishAll(tb testing.TB, n *Node, prefix string, items int) {
	tb.Helper()
	c, name := n.Txn(), "name"
	content := make([]byte, 256)
	var (
		next    atomic.Int64
		writers sync.WaitGroup
	)
	for range 64 {
		writers.Go(func() {
			for i := next.Add(1); i <= int64(items); i = next.Add(1) {
				_, err := txn.Publish(tb.Context(), c, auth.Actor{Protocol: "nacos", Addr: "127.0.0.1"}, configstore.Op{
					Publish: &configstore.Publish{
						Key:     configstore.Key{Namespace: "public", Group: "BENCH", Name: fmt.Sprintf("%s-%08d", prefix, i)},
						Content: content, Type: "text", Desc: &name, Ext: []byte{},
					},
				})
				if err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

// processorTime is what the process has used so far.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConfigGet reads one config of many: what lies below a get and a query.
func BenchmarkConfigGet(b *testing.B) {
	n := startWith(b, Config{DataDir: b.TempDir(), Durability: OS})
	publishAll(b, n, "k", 10_000)
	k := configstore.Key{Namespace: "public", Group: "BENCH", Name: "k-00000777"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Configs().Get(b.Context(), k, nil); err != nil {
			b.Fatal(err)
		}
	}
}
