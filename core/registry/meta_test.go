package registry_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

func TestMeta(t *testing.T) {
	long := strings.Repeat("v", 1<<15)
	for _, p := range []registry.Pairs{
		nil,
		{{Key: "a", Value: "1"}},
		{{Key: "", Value: ""}, {Key: "k", Value: ""}},
		{{Key: "a", Value: long[:127]}, {Key: "b", Value: long[:128]}, {Key: "c", Value: long}, {Key: long, Value: "中\x00"}},
	} {
		m := registry.MetaOf(p)
		if got := m.Pairs(); !got.Equal(p) || !m.Is(p) || registry.MetaOf(got) != m {
			t.Errorf("MetaOf(%d pairs) = %d pairs of %d bytes, want the same again", len(p), len(got), len(m))
		}
		for _, x := range p {
			if v, ok := m.Get(x.Key); !ok || v != x.Value {
				t.Errorf("Get(%.20s) = %.20q, %t, want %.20q", x.Key, v, ok, x.Value)
			}
		}
		if v, ok := m.Get("absent"); ok {
			t.Errorf("Get(absent) = %q, want none", v)
		}
		if other := append(slices.Clone(p), registry.Pair{Key: "z"}); m.Is(other) || registry.MetaOf(other).Is(p) {
			t.Errorf("Is() of one pair more = true")
		}
		if n := testing.AllocsPerRun(10, func() { m.Get("absent"); m.Is(p) }); n != 0 {
			t.Errorf("Get() and Is() make %.0f allocations, want none", n)
		}
	}
	if m := registry.MetaOf(registry.Pairs{{Key: "a", Value: "1"}}); m.Is(registry.Pairs{{Key: "a", Value: "2"}}) || m.Is(registry.Pairs{{Key: "b", Value: "1"}}) {
		t.Error("Is() of another pair = true")
	}
}

// A text that is no Meta has what can be read of it, and nothing else.
func FuzzMeta(f *testing.F) {
	for _, s := range []string{"", "\x01a\x011", "\x05a", "\x01a", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a", "\x80\x80\x80\x80\x80\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for k, v := range registry.Meta(s).All() {
			if n += len(k) + len(v); n > len(s) {
				t.Fatalf("%d bytes of pairs in a text of %d", n, len(s))
			}
		}
		if got := maps.Collect(registry.Meta(s).All()); len(got) > len(s) {
			t.Fatalf("%d pairs in a text of %d bytes", len(got), len(s))
		}
	})
}
