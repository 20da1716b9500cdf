package registry_test

import (
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

func TestBetter(t *testing.T) {
	half := 0.5
	end := func(owner string, health registry.Status, weight float64, rare *registry.Rare) *registry.Endpoint {
		return &registry.Endpoint{
			Instance: &registry.Instance{Publisher: &registry.Publisher{Key: registry.PublisherKey{Owner: owner}}, Weight: weight, Rare: rare},
			Health:   health,
		}
	}
	// BRG-DUP-03, from the best to the worst.
	order := []*registry.Endpoint{
		end("z", registry.Maintenance, 0, nil), // out
		end("z", registry.Passing, 2, nil),
		end("a", registry.Passing, 1, nil),
		end("b", registry.Passing, 1, nil),
		end("a", registry.Warning, 9, nil),
		end("a", registry.Warning, 9, &registry.Rare{Warn: &half}),
		end("a", registry.Passing, 1, &registry.Rare{Drain: true}),
		end("a", registry.Critical, 9, nil),
		end("a", registry.Passing, 0, nil), // takes no work
		end("a", registry.Passing, 9, &registry.Rare{Transit: true}),
	}
	for i, a := range order {
		for j, b := range order {
			if got, want := registry.Better(a, b), i < j; got != want {
				t.Errorf("Better(%d, %d) = %t, want %t", i, j, got, want)
			}
		}
	}
}

func TestAddress(t *testing.T) {
	for host, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "2001:DB8::0:1": "2001:db8::1", "Host.Example.": "host.example", "": "",
	} {
		if got := registry.Address(host); got != want {
			t.Errorf("Address(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestSelect(t *testing.T) {
	s := &registry.Snapshot{}
	add := func(owner, subset string, health registry.Status, duplicate bool) {
		s.Endpoints = append(s.Endpoints, registry.Endpoint{
			Instance: &registry.Instance{Publisher: &registry.Publisher{Key: registry.PublisherKey{Owner: owner}}, Subset: subset},
			Health:   health, Duplicate: duplicate,
		})
	}
	add("one", "x", registry.Passing, false)
	add("one", "y", registry.Critical, false)
	add("two", "x", registry.Maintenance, false)
	add("two", "x", registry.Warning, true)
	dst := make([]registry.Endpoint, 0, 4)
	for _, tt := range []struct {
		sel  registry.Selection
		want []int
	}{
		{registry.Selection{Duplicates: true}, []int{0, 1, 2, 3}},
		{registry.Selection{}, []int{0, 1, 2}},
		{registry.Selection{Own: "one"}, []int{0, 1, 2}},
		{registry.Selection{Own: "two"}, []int{0, 1, 2, 3}},
		{registry.Selection{Subsets: []string{"x", "z"}, Duplicates: true}, []int{0, 2, 3}},
		{registry.Selection{Enabled: true, Duplicates: true}, []int{0, 1, 3}},
		{registry.Selection{Healthy: true, Duplicates: true}, []int{0, 3}},
		{registry.Selection{Healthy: true, Subsets: []string{"y"}}, nil},
	} {
		got := registry.Select(dst, s, &tt.sel)
		ok := len(got) == len(tt.want)
		for i := range got {
			ok = ok && got[i].Instance == s.Endpoints[tt.want[i]].Instance
		}
		if !ok {
			t.Errorf("Select(%+v) = %d endpoints, want %v", tt.sel, len(got), tt.want)
		}
		if len(tt.want) == len(s.Endpoints) && &got[0] != &s.Endpoints[0] {
			t.Errorf("Select(%+v) copied the snapshot's own slice", tt.sel)
		}
	}
}

func TestProtected(t *testing.T) {
	es := []registry.Endpoint{{Health: registry.Passing}, {Health: registry.Warning}, {Health: registry.Critical}, {Health: registry.Maintenance}}
	for threshold, want := range map[float64]bool{0: false, 0.49: false, 0.5: true, 1: true} {
		if got := registry.Protected(es, threshold); got != want {
			t.Errorf("Protected(half, %v) = %t, want %t", threshold, got, want)
		}
	}
	if registry.Protected(nil, 1) {
		t.Error("Protected(nothing, 1) = true")
	}
}

func TestPairs(t *testing.T) {
	p := registry.PairsOf(map[string]string{"b": "2", "a": "1"})
	q := registry.PairsOf(map[string]string{"c": "3", "b": "9"})
	got := p.Over(q)
	want := registry.Pairs{{Key: "a", Value: "1"}, {Key: "b", Value: "9"}, {Key: "c", Value: "3"}}
	if !got.Equal(want) {
		t.Errorf("Over() = %v, want %v", got, want)
	}
	if v, ok := got.Get("b"); v != "9" || !ok {
		t.Errorf("Get(b) = %q, %t", v, ok)
	}
	if _, ok := got.Get("x"); ok {
		t.Error("Get(x) = true")
	}
	if registry.PairsOf(nil) != nil || !p.Over(nil).Equal(p) || !registry.Pairs(nil).Over(q).Equal(q) {
		t.Error("Over() of nothing changes something")
	}
}
