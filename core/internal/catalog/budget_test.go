//go:build !race

package catalog

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

func benchEngine(tb testing.TB, services, each int) *Engine {
	tb.Helper()
	e := New(Settings{Member: 1})
	w := e.Ephemeral("one")
	for i := range services {
		k := registry.PublisherKey{Scope: fmt.Sprint("conn-", i)}
		if err := w.Open(tb.Context(), registry.Publisher{Key: k}); err != nil {
			tb.Fatal(err)
		}
		rs := make([]registry.Registration, each)
		for j := range rs {
			rs[j] = registry.Registration{
				Service: registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: fmt.Sprint("service-", i)},
				Host:    fmt.Sprintf("10.%d.%d.%d", i%200, j/250, j%250), Port: 8080, Weight: 1, Enabled: true, Subset: "DEFAULT",
			}
		}
		if err := w.Publish(tb.Context(), k, registry.Merge, rs); err != nil {
			tb.Fatal(err)
		}
	}
	return e
}

// CTR-F02: a lookup allocates nothing once the snapshot is built.
func TestBudgetService(t *testing.T) {
	e := benchEngine(t, 100, 10)
	k := registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: "service-50"}
	n := testing.AllocsPerRun(1000, func() {
		if _, err := e.Service(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("Service() allocates %v times, want 0", n)
	}
}

func BenchmarkService(b *testing.B) {
	e := benchEngine(b, 10_000, 1)
	ks := make([]registry.ServiceKey, 1024)
	for i := range ks {
		ks[i] = registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: fmt.Sprint("service-", i*7)}
		_, _ = e.Service(b.Context(), ks[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := e.Service(b.Context(), ks[i%1024]); err != nil {
			b.Fatal(err)
		}
	}
}

// CTR-F10: a beat allocates nothing.
func TestBudgetBeat(t *testing.T) {
	e, bs := beatingEngine(t, 1000)
	n := testing.AllocsPerRun(100, func() {
		if unknown, err := e.beatAll("one", bs); err != nil || unknown != nil {
			t.Fatal(unknown, err)
		}
	})
	if n != 0 {
		t.Errorf("Beat() of 1,000 allocates %v times, want 0", n)
	}
}

func beatingEngine(tb testing.TB, n int) (*Engine, []registry.Beat) {
	tb.Helper()
	e := New(Settings{Member: 1})
	w := e.Ephemeral("one")
	bs := make([]registry.Beat, n)
	for i := range bs {
		k := registry.PublisherKey{Scope: fmt.Sprintf("10.0.%d.%d:8080#true", i/250, i%250)}
		r := registry.Registration{
			Service: registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: fmt.Sprint("service-", i/10)},
			Host:    fmt.Sprintf("10.0.%d.%d", i/250, i%250), Port: 8080, Weight: 1, Enabled: true,
			Expiry: registry.Expiry{Unhealthy: 15e9, Remove: 30e9},
		}
		if err := w.Open(tb.Context(), registry.Publisher{Key: k}); err != nil {
			tb.Fatal(err)
		}
		if err := w.Publish(tb.Context(), k, registry.Merge, []registry.Registration{r}); err != nil {
			tb.Fatal(err)
		}
		bs[i].Instance = registry.InstanceKey{Publisher: k, Service: r.Service, ID: r.Host + ":8080"}
	}
	return e, bs
}

// One beat among 100,000 instances.
func BenchmarkBeat(b *testing.B) {
	e, bs := beatingEngine(b, 100_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(bs)
		if _, err := e.beatAll("one", bs[i:i+1]); err != nil {
			b.Fatal(err)
		}
	}
}

// All 100,000 fall silent at once: what one tick costs.
func BenchmarkSilence(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		e, _ := beatingEngine(b, 100_000)
		e.synced = true
		for range 150 {
			e.pass(tick)
		}
		b.StartTimer()
		e.pass(2 * tick)
		if e.healthy != 0 {
			b.Fatalf("%d are healthy, want none", e.healthy)
		}
	}
}
