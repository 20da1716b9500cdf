//go:build !race

package catalog

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// heap is the bytes in use after everything that is not has been collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// CTR-F20, CTR-F21, GOAL-17: what an instance costs with its share of service,
// snapshot, publisher and indexes, ten to a service, everything read once; with
// some slack. CTR-F20 counts no index of the publisher, here its slot of 16 bytes is.
func TestBudgetMemory(t *testing.T) {
	const n, each = 100_000, 10
	for _, tt := range []struct {
		name      string
		publisher bool // each its own
		private   bool // metadata
		most      uint64
	}{
		{"shared metadata", false, false, 190},
		{"own metadata", false, true, 215},
		{"own publisher that beats, shared metadata", true, false, 350},
		{"own publisher that beats, own metadata", true, true, 375},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := New(Settings{Member: 1})
			w := e.Ephemeral("one")
			before := heap()
			for i := range n {
				k := registry.PublisherKey{Scope: fmt.Sprintf("conn-%07d", i/registry.MaxPublish)}
				if tt.publisher {
					k.Scope = fmt.Sprintf("1736300000%04d_10.0.0.1_%05d", i/100_000, i%100_000)
				}
				if i%registry.MaxPublish == 0 || tt.publisher {
					if err := w.Open(t.Context(), registry.Publisher{Key: k}); err != nil {
						t.Fatal(err)
					}
				}
				meta := registry.Pairs{{Key: "version", Value: "1.0.0"}, {Key: "zone", Value: "a"}}
				if tt.private {
					meta[0].Value, meta[1].Value = fmt.Sprint(i/1000), fmt.Sprint(i%1000) // no set twice
				}
				r := registry.Registration{
					Service: registry.ServiceKey{Namespace: "public", Group: "DEFAULT_GROUP", Name: fmt.Sprintf("service-%05d", i/each)},
					Host:    fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), Port: 8080, Weight: 1, Enabled: true, Subset: "DEFAULT", Meta: meta,
				}
				if tt.publisher {
					r.Expiry = registry.Expiry{Unhealthy: 15e9, Remove: 30e9}
				}
				if err := w.Publish(t.Context(), k, registry.Merge, []registry.Registration{r}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n / each {
				k := registry.ServiceKey{Namespace: "public", Group: "DEFAULT_GROUP", Name: fmt.Sprintf("service-%05d", i)}
				if s, err := e.Service(t.Context(), k); err != nil || len(s.Endpoints) != each {
					t.Fatalf("Service() = %+v, %v", s, err)
				}
			}
			got := (heap() - before) / n
			t.Logf("%d bytes per instance", got)
			if got > tt.most {
				t.Errorf("%d bytes per instance, want at most %d", got, tt.most)
			}
			runtime.KeepAlive(e)
		})
	}
}
