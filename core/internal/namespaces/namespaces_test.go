package namespaces_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/namespace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func apply(t *testing.T, n namespace.Namespaces, ops ...namespace.Op) {
	t.Helper()
	if err := n.Apply(t.Context(), auth.Actor{}, ops); err != nil {
		t.Fatalf("Apply(%+v) = %v", ops, err)
	}
}

func get(t *testing.T, n namespace.Namespaces, id string) namespace.Namespace {
	t.Helper()
	x, err := n.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%s) = %v", id, err)
	}
	return *x
}

func ids(t *testing.T, n namespace.Namespaces, from string, limit int) string {
	t.Helper()
	list, err := n.List(t.Context(), from, limit)
	if err != nil {
		t.Fatalf("List(%q, %d) = %v", from, limit, err)
	}
	var out []string
	for _, x := range list {
		out = append(out, x.ID)
	}
	return strings.Join(out, " ")
}

// The time of creation is core's and stays when the rest changes.
func TestPut(t *testing.T) {
	n := coretest.Start(t).Namespaces()
	apply(t, n, namespace.Op{New: true, Put: &namespace.Namespace{ID: "a", Name: "first", Desc: "d", Kind: "2", Created: 1}})
	made := get(t, n, "a")
	if made.Created < 1_700_000_000_000 || made.Name != "first" || made.Desc != "d" || made.Kind != "2" {
		t.Errorf("Get(a) = %+v", made)
	}
	apply(t, n, namespace.Op{Put: &namespace.Namespace{ID: "a", Name: "second"}})
	if got, want := get(t, n, "a"), (namespace.Namespace{ID: "a", Name: "second", Created: made.Created}); got != want {
		t.Errorf("Get(a) = %+v, want %+v", got, want)
	}
	apply(t, n, namespace.Op{Drop: "a"}, namespace.Op{Drop: "none"})
	if x, err := n.Get(t.Context(), "a"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(dropped) = %+v, %v, want %v", x, err, kv.ErrNotFound)
	}
}

// A new one whose id is taken refuses the whole batch.
func TestNewExists(t *testing.T) {
	n := coretest.Start(t).Namespaces()
	apply(t, n, namespace.Op{Put: &namespace.Namespace{ID: "a", Name: "old"}})
	err := n.Apply(t.Context(), auth.Actor{}, []namespace.Op{
		{New: true, Put: &namespace.Namespace{ID: "b"}},
		{New: true, Put: &namespace.Namespace{ID: "a", Name: "new"}},
	})
	if !errors.Is(err, namespace.ErrExists) {
		t.Errorf("Apply() = %v, want %v", err, namespace.ErrExists)
	}
	if got := ids(t, n, "", 0); got != "a" || get(t, n, "a").Name != "old" {
		t.Errorf("List() = %q, want the old a alone", got)
	}
}

// Pages resume behind an id, whatever bytes it has, and survive a restart.
func TestList(t *testing.T) {
	dir := t.TempDir()
	on := func(c *core.Config) { c.DataDir = dir }
	node := coretest.Start(t, on)
	want := []string{"", "A", "a", "a\x00", "a\x00b", "aa", "b", "密"}
	for _, id := range slices.Backward(want) {
		apply(t, node.Namespaces(), namespace.Op{New: true, Put: &namespace.Namespace{ID: id, Name: "n"}})
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	n := coretest.Start(t, on).Namespaces()
	if got := ids(t, n, "", 0); got != strings.Join(want, " ") {
		t.Errorf("List() = %q, want %q", got, want)
	}
	for i, from := range want[1:] {
		rest := want[i+2:]
		rest = rest[:min(2, len(rest))]
		if got := ids(t, n, from, 2); got != strings.Join(rest, " ") {
			t.Errorf("List(after %q, 2) = %q, want %q", from, got, fmt.Sprint(rest))
		}
	}
}
