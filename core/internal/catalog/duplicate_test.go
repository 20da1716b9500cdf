package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// plugins are writers by name, all with a publisher "c".
func (r *rig) plugins(names ...string) map[string]registry.Ephemeral {
	r.t.Helper()
	out := map[string]registry.Ephemeral{}
	for _, n := range names {
		out[n] = r.Engine.Ephemeral(n)
		for _, s := range []string{"c", "d"} {
			if err := out[n].Open(r.t.Context(), registry.Publisher{Key: scope(s)}); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return out
}

// shown renders which records represent their endpoint.
func (r *rig) shown(name string) string {
	r.t.Helper()
	s := r.snapshot(name)
	if s == nil {
		return "none"
	}
	var out []string
	for _, e := range s.Endpoints {
		mark := ""
		if e.Duplicate {
			mark = "-"
		}
		if e.Rare != nil && e.Rare.Transit {
			mark += "~"
		}
		out = append(out, fmt.Sprintf("%s%s.%s/%s%s:%d", mark, e.Publisher.Key.Owner, e.Publisher.Key.Scope, e.Subset, e.Host, e.Port))
	}
	return strings.Join(out, " ")
}

func TestDuplicates(t *testing.T) {
	r := newRig(t)
	ps := r.plugins("one", "two", "zzz")
	put := func(plugin, scopeName, host string, change func(*registry.Registration)) {
		t.Helper()
		x := at("a", host, 1)
		if change != nil {
			change(&x)
		}
		if err := ps[plugin].Publish(t.Context(), scope(scopeName), registry.Merge, []registry.Registration{x}); err != nil {
			t.Fatal(err)
		}
	}
	drop := func(plugin, scopeName string) {
		t.Helper()
		if err := ps[plugin].Withdraw(t.Context(), scope(scopeName), []registry.InstanceKey{{Service: svc("a")}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(step, want string) {
		t.Helper()
		if got := r.shown("a"); got != want {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	put("one", "c", "h1", nil)
	put("one", "d", "h1", nil)
	put("one", "d", "h2", nil)
	check("one plugin, twice", "one.c/h1:1 -one.d/h1:1 one.d/h2:1")
	put("one", "c", "h1", func(x *registry.Registration) { x.Status = registry.Critical })
	check("the first is worse", "-one.c/h1:1 one.d/h1:1 one.d/h2:1")
	drop("one", "d")
	check("BRG-DUP-04: the next takes its place", "one.c/h1:1")
	put("one", "d", "h1", func(x *registry.Registration) { x.Subset = "s" })
	check("two subsets of one plugin are two", "one.c/h1:1 one.d/sh1:1")
	put("two", "c", "H1.", nil)
	check("across plugins subset and spelling do not count, then the name does", "-two.c/H1.:1 -one.c/h1:1 one.d/sh1:1")
	put("two", "d", "h1", func(x *registry.Registration) { x.Enabled = false })
	check("what an operator took out wins", "-two.c/H1.:1 -one.c/h1:1 two.d/h1:1 -one.d/sh1:1")
	drop("two", "c")
	drop("two", "d")
	check("alone again", "one.c/h1:1 one.d/sh1:1")
	put("zzz", "c", "10.0.0.1", nil)
	put("two", "c", "::ffff:10.0.0.1", func(x *registry.Registration) { x.Weight = 2 })
	check("weight decides", "-zzz.c/10.0.0.1:1 two.c/::ffff:10.0.0.1:1 one.c/h1:1 one.d/sh1:1")
	if err := ps["zzz"].Open(t.Context(), registry.Publisher{Key: scope("c"), Info: &registry.PublisherInfo{Origin: "dc2"}}); err != nil {
		t.Fatal(err)
	}
	check("MDC-13: other datacenters are never duplicates", "two.c/::ffff:10.0.0.1:1 one.c/h1:1 one.d/sh1:1 zzz.c/10.0.0.1:1")
}

// BRG-DUP-07, BRG-DUP-10: what a tool copied in is flagged, and represents
// nothing while there is an original.
func TestTransit(t *testing.T) {
	r := newRig(t)
	ps := r.plugins("one", "two")
	put := func(plugin, meta string, weight float64) {
		t.Helper()
		x := at("a", "h", 1)
		x.Weight = weight
		if meta != "" {
			x.Meta = registry.Pairs{{Key: meta, Value: "x"}}
		}
		if err := ps[plugin].Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{x}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(step, want string) {
		t.Helper()
		if got := r.shown("a"); got != want {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	for _, mark := range []string{"batata.io/source", "batata-source"} {
		put("two", mark, 1)
		check(mark, "~two.c/h:1")
	}
	put("two", "syncSource", 9)
	check("from elsewhere", "two.c/h:1")
	put("one", "", 1)
	check("beside an original", "one.c/h:1 -~two.c/h:1")
	put("one", "", 2) // judged anew
	check("still beside it", "one.c/h:1 -~two.c/h:1")
	if err := ps["one"].Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("a")}}); err != nil {
		t.Fatal(err)
	}
	check("the original went", "two.c/h:1")
	raw, err := r.Published(t.Context(), registry.PublisherKey{Owner: "two", Scope: "c"})
	if err != nil || raw.Instances[0].Instance.Rare != nil {
		t.Errorf("Published() = %+v, %v, want it raw", raw, err)
	}
}
