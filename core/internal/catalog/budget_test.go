//go:build !race

package catalog

import (
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// CTR-F02: a lookup allocates nothing once the snapshot is built.
func TestBudgetService(t *testing.T) {
	e := benchEngine(t, 100, 10)
	n := testing.AllocsPerRun(1000, func() {
		if _, err := e.Service(t.Context(), registry.ServiceKey{Namespace: "public", Group: "DEFAULT", Name: "service-50"}); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("Service() allocates %v times, want 0", n)
	}
}

// CTR-F12: choosing allocates nothing when dst is used again.
func TestBudgetSelect(t *testing.T) {
	e := benchEngine(t, 1, 100)
	s, err := e.Service(t.Context(), benchService(0))
	if err != nil {
		t.Fatal(err)
	}
	mixed := &registry.Snapshot{}
	for i := range s.Endpoints {
		mixed.Endpoints = append(mixed.Endpoints, registry.Endpoint{Instance: s.Endpoints[i].Instance, Health: registry.Status(1 + i%3)})
	}
	dst := make([]registry.Endpoint, 0, 100)
	for _, of := range []*registry.Snapshot{s, mixed} {
		n := testing.AllocsPerRun(1000, func() {
			if got := registry.Select(dst, of, &registry.Selection{Healthy: true, Subsets: []string{"DEFAULT"}}); len(got) < 60 {
				t.Fatalf("Select() = %d endpoints", len(got))
			}
		})
		if n != 0 {
			t.Errorf("Select() allocates %v times, want 0", n)
		}
	}
}

// CTR-F06: a change between two reads is one instance and one slice; the rest is
// the snapshot itself and the copy of what was passed in.
func TestBudgetRebuild(t *testing.T) {
	e := benchEngine(t, 1, 1000)
	w := e.Ephemeral("one")
	r := []registry.Registration{{Service: benchService(0), Host: "10.0.2.100", Port: 8080, Enabled: true, Subset: "DEFAULT"}}
	n := testing.AllocsPerRun(100, func() {
		r[0].Weight++
		if err := w.Publish(t.Context(), registry.PublisherKey{Scope: "conn-0"}, registry.Merge, r); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Service(t.Context(), r[0].Service); err != nil {
			t.Fatal(err)
		}
	})
	if n > 6 {
		t.Errorf("a change and a read allocate %v times, want at most 6", n)
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
