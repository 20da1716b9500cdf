package raftnode

import (
	"fmt"
	"testing"
)

// BenchmarkPropose is the way of a transaction on a group of one, without the
// disk: what the loop costs.
func BenchmarkPropose(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			m := start(b, b.TempDir())
			value := make([]byte, 256)
			b.ReportAllocs()
			b.SetParallelism(writers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				t := m.put("k", value)
				for pb.Next() {
					if _, err := m.Propose(b.Context(), t); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
