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
				Service: benchService(i), Host: fmt.Sprintf("10.%d.%d.%d", i%200, j/250, j%250), Port: 8080,
				Weight: 1, Enabled: true, Subset: "DEFAULT",
			}
		}
		if err := w.Publish(tb.Context(), k, registry.Merge, rs); err != nil {
			tb.Fatal(err)
		}
	}
	return e
}

func benchService(i int) registry.ServiceKey {
	return registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: fmt.Sprint("service-", i)}
}

// beatingEngine has n instances that live by beats, each of its own publisher.
func beatingEngine(tb testing.TB, n int) (*Engine, []registry.Beat) {
	tb.Helper()
	e := New(Settings{Member: 1})
	w := e.Ephemeral("one")
	bs := make([]registry.Beat, n)
	for i := range bs {
		k := registry.PublisherKey{Scope: fmt.Sprintf("10.0.%d.%d:8080#true", i/250, i%250)}
		r := registry.Registration{
			Service: benchService(i / 10), Host: fmt.Sprintf("10.0.%d.%d", i/250, i%250), Port: 8080, Weight: 1, Enabled: true,
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

// One of 10,000 services, 1,024 of them asked for.
func BenchmarkService(b *testing.B) {
	e := benchEngine(b, 10_000, 1)
	ks := make([]registry.ServiceKey, 1024)
	for i := range ks {
		ks[i] = benchService(i * 7)
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

// A connection that registers one instance and closes, in services that others
// read now and then.
func BenchmarkPublish(b *testing.B) {
	e := benchEngine(b, 1000, 10)
	w := e.Ephemeral("two")
	scopes := make([]registry.PublisherKey, 1024)
	rs := make([][]registry.Registration, len(scopes))
	for i := range scopes {
		scopes[i].Scope = fmt.Sprint("other-", i)
		rs[i] = []registry.Registration{{
			Service: benchService(i % 1000), Host: fmt.Sprintf("10.9.%d.%d", i/250, i%250), Port: 9090, Weight: 1, Enabled: true, Subset: "DEFAULT",
			Meta: registry.Pairs{{Key: "version", Value: "1.0.0"}, {Key: "zone", Value: "a"}},
		}}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 1) % len(scopes)
		if err := w.Open(b.Context(), registry.Publisher{Key: scopes[i]}); err != nil {
			b.Fatal(err)
		}
		if err := w.Publish(b.Context(), scopes[i], registry.Merge, rs[i]); err != nil {
			b.Fatal(err)
		}
		if i%8 == 0 {
			_, _ = e.Service(b.Context(), rs[i][0].Service)
		}
		if err := w.Close(b.Context(), scopes[i:i+1]); err != nil {
			b.Fatal(err)
		}
	}
}

// CTR-F06: one of 1,000 instances changes and somebody reads the service.
func BenchmarkRebuild(b *testing.B) {
	e := benchEngine(b, 1, 1000)
	w := e.Ephemeral("one")
	r := []registry.Registration{{Service: benchService(0), Host: "10.0.2.100", Port: 8080, Enabled: true, Subset: "DEFAULT"}}
	k := registry.PublisherKey{Scope: "conn-0"}
	b.ReportAllocs()
	for b.Loop() {
		r[0].Weight++
		if err := w.Publish(b.Context(), k, registry.Merge, r); err != nil {
			b.Fatal(err)
		}
		if s, err := e.Service(b.Context(), r[0].Service); err != nil || len(s.Endpoints) != 1000 {
			b.Fatal(s, err)
		}
	}
}

// One of 10,000 services changes and a stream hears of it.
func BenchmarkWatch(b *testing.B) {
	e := benchEngine(b, 10_000, 10)
	w := e.Ephemeral("one")
	st, err := e.Watch(b.Context(), registry.Query{}, 0)
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		if _, err := st.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	r := []registry.Registration{{Host: "10.0.0.1", Port: 8080, Enabled: true, Subset: "DEFAULT"}}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % 10_000
		r[0].Service = benchService(i)
		r[0].Weight++
		if err := w.Publish(b.Context(), registry.PublisherKey{Scope: fmt.Sprint("conn-", i)}, registry.Merge, r); err != nil {
			b.Fatal(err)
		}
		if cs, err := st.Next(b.Context()); err != nil || len(cs) != 1 {
			b.Fatal(len(cs), err)
		}
	}
}

// CTR-R05: a pattern that no order helps, over 100,000 names.
func BenchmarkNames(b *testing.B) {
	e := benchEngine(b, 100_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		if ks, err := e.Names(b.Context(), registry.Query{Name: "*99999"}); err != nil || len(ks) != 1 {
			b.Fatal(len(ks), err)
		}
	}
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

// All 100,000 fall silent at once.
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
