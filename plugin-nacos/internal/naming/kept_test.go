package naming

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// alikeOnes are endpoints as services have them: nearly the same.
func alikeOnes(n int) []registry.Endpoint {
	p := &registry.Publisher{Key: registry.PublisherKey{Owner: "nacos", Scope: "s"}, Status: registry.Passing, Ephemeral: true}
	es := make([]registry.Endpoint, n)
	for i := range es {
		meta := registry.MetaOf(registry.Pairs{{Key: "pod", Value: strconv.Itoa(i)}, {Key: "zone", Value: "a"}})
		es[i] = registry.Endpoint{Health: registry.Passing, Instance: &registry.Instance{
			Subset: "DEFAULT", Host: fmt.Sprintf("10.0.%d.%d", i/100, 100+i%100), Port: 8080, Weight: 1, Status: registry.Passing, Enabled: true,
			Publisher: p, Meta: meta,
		}}
	}
	slices.SortFunc(es, byAddress)
	return es
}

// A list reads the same whether it is rendered, kept, or a part of what is kept.
func TestKept(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	longs, parted := 0, 0
	for round := range 400 {
		s := bare()
		snap := &registry.Snapshot{Key: registry.ServiceKey{Namespace: "public", Group: "G", Name: text(r)}}
		if r.IntN(3) == 0 {
			snap.Service = &registry.Service{Protect: r.Float64()}
		}
		snap.Endpoints = alikeOnes(r.IntN(4) * r.IntN(100))
		for range r.IntN(20) {
			snap.Endpoints = append(snap.Endpoints, endpoint(r, []string{"nacos", "other"}[r.IntN(2)]))
		}
		if r.IntN(2) == 0 {
			slices.SortFunc(snap.Endpoints, byAddress)
		}
		for range r.IntN(3) {
			if n := len(snap.Endpoints); n > 0 {
				e := &snap.Endpoints[r.IntN(n)]
				sick := *e.Instance
				sick.Status = registry.Critical
				e.Instance, e.Health = &sick, registry.Critical
			}
		}
		for _, q := range []Query{
			{}, {}, {Clusters: "DEFAULT"}, {HealthyOnly: true}, {Clusters: "DEFAULT", HealthyOnly: true}, {Clusters: "none"}, {Disabled: true},
		} {
			q.Key = snap.Key
			l := s.Choose(snap, q)
			want := l.appendHosts(nil, nil)
			if got := l.AppendHosts([]byte("x")); !bytes.Equal(got[1:], want) || got[0] != 'x' {
				t.Fatalf("round %d: AppendHosts(%+v) =\n%s\nwant\n%s", round, q, got, want)
			}
			if got := l.Hosts(); !bytes.Equal(got, want) {
				t.Fatalf("round %d: Hosts(%+v) =\n%s\nwant\n%s", round, q, got, want)
			}
			fresh := bare().Choose(snap, q)
			if len(l.Endpoints) != len(fresh.Endpoints) || l.Protected != fresh.Protected || l.whole != fresh.whole {
				t.Fatalf("round %d: Choose(%+v) = %d endpoints, protected %t, whole %t", round, q, len(l.Endpoints), l.Protected, l.whole)
			}
			if k := s.kept(snap); k != nil && k.is(keptLong) {
				longs++
				if !l.whole && l.all != nil && len(l.Endpoints) > 0 {
					parted++
				}
			}
		}
	}
	if longs == 0 || parted == 0 {
		t.Errorf("%d long lists, %d parts of them: nothing was tested", longs, parted)
	}
}

// GOAL-17: what is kept of a list is a small part of its JSON, but for long ones,
// which all who are answered share.
func TestKeptSize(t *testing.T) {
	s := bare()
	for _, n := range []int{10, 100, 1000} {
		snap := &registry.Snapshot{Key: registry.ServiceKey{Namespace: "public", Group: "DEFAULT_GROUP", Name: "service"}, Endpoints: alikeOnes(n)}
		l := s.Choose(snap, Query{Key: snap.Key})
		json, k := len(l.Hosts()), len(s.kept(snap))
		if most := json / 5; json < long && k > most {
			t.Errorf("of %d bytes for %d instances %d are kept, want at most %d", json, n, k, most)
		}
		if a, b := l.Hosts(), l.Hosts(); json >= long && &a[0] != &b[0] {
			t.Errorf("%d bytes are not shared", json)
		}
		if allocs := testing.AllocsPerRun(10, func() { s.Choose(snap, Query{Key: snap.Key, Clusters: "DEFAULT"}) }); allocs > 1 {
			t.Errorf("to choose all makes %.0f allocations, want the list alone", allocs)
		}
	}
}

// One answer, from what is kept; rendered is without.
func BenchmarkAppendHosts(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		snap := &registry.Snapshot{Key: registry.ServiceKey{Namespace: "public", Group: "DEFAULT_GROUP", Name: "service"}, Endpoints: alikeOnes(n)}
		for name, s := range map[string]*Service{"kept": bare(), "rendered": New(Settings{Owner: "nacos"})} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				var buf []byte
				b.ReportAllocs()
				for b.Loop() {
					buf = s.Choose(snap, Query{Key: snap.Key, Clusters: "DEFAULT"}).AppendHosts(buf[:0])
				}
			})
		}
	}
}
