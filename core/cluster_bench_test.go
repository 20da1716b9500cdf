package core_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/txn"
)

// BenchmarkReplicate is a config publish, without the protocols, on three members
// in one process, written through the leader, through a follower and through all.
// It reports what all three spent for one together.
func BenchmarkReplicate(b *testing.B) {
	for _, through := range []string{"leader", "follower", "all"} {
		b.Run(through, func(b *testing.B) {
			c := coretest.StartCluster(b, 3, func(_ int, c *core.Config) {
				c.Durability, c.Peer.Tick, c.Peer.Ping = core.Fsync, 100*time.Millisecond, time.Second
			})
			members(b, c.Node(0), 3, cluster.Up)
			nodes := []*core.Node{c.Node(c.Leader())}
			switch through {
			case "follower":
				nodes = []*core.Node{c.Node(c.Followers()[0])}
			case "all":
				nodes = []*core.Node{c.Node(0), c.Node(1), c.Node(2)}
			}
			b.ReportAllocs()
			b.ResetTimer()
			begin := spent(b)
			publish(b, nodes, b.N)
			b.ReportMetric(float64((spent(b)-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func publish(b *testing.B, nodes []*core.Node, items int) {
	b.Helper()
	content, name := make([]byte, 256), "name"
	var next atomic.Int64
	var writers sync.WaitGroup
	for w := range 64 {
		t := nodes[w%len(nodes)].Txn()
		writers.Go(func() {
			for i := next.Add(1); i <= int64(items); i = next.Add(1) {
				_, err := txn.Publish(b.Context(), t, auth.Actor{Protocol: "nacos", Addr: "127.0.0.1"}, configstore.Op{
					Publish: &configstore.Publish{
						Key:     configstore.Key{Namespace: "public", Group: "BENCH", Name: fmt.Sprintf("k-%08d", i)},
						Content: content, Type: "text", Desc: &name, Ext: []byte{},
					},
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

// spent is the processor time of the process so far.
func spent(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
