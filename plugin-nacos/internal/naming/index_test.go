package naming

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// ENG-25: pages of a group that come and goes, and nothing of others.
func TestIndexPages(t *testing.T) {
	var x index
	x.begin()
	g := groupKey{"n", "g"}
	for i := range 1000 {
		x.set(registry.ServiceKey{Namespace: "n", Group: "g", Name: fmt.Sprintf("s%03d", i)}, true)
		x.set(registry.ServiceKey{Namespace: "n", Group: "h", Name: fmt.Sprintf("x%03d", i)}, true)
	}
	for i := 0; i < 1000; i += 2 {
		for range 2 { // twice is once
			x.set(registry.ServiceKey{Namespace: "n", Group: "g", Name: fmt.Sprintf("s%03d", i)}, false)
		}
	}
	names, total := x.page(g, 2, 3)
	if want := []string{"s007", "s009", "s011"}; total != 500 || !slices.Equal(names, want) {
		t.Errorf("page() = %v of %d, want %v of 500", names, total, want)
	}
	for _, size := range []int{0, 1 << 40} {
		if names, total := x.page(g, 1<<40, size); len(names) != 0 || names == nil || total != 500 {
			t.Errorf("page past the end = %v of %d", names, total)
		}
	}
	for i := range 1000 {
		x.set(registry.ServiceKey{Namespace: "n", Group: "h", Name: fmt.Sprintf("x%03d", i)}, false)
	}
	if names, total := x.page(groupKey{"n", "h"}, 1, 10); len(names) != 0 || names == nil || total != 0 || len(x.groups) != 1 {
		t.Errorf("page of what has gone = %v of %d, %d groups kept", names, total, len(x.groups))
	}
}

// Who reads waits for what the catalog has, and not for ever.
func TestIndexReach(t *testing.T) {
	var x index
	if x.reach(t.Context(), 0) {
		t.Error("reach() of what nobody keeps = true")
	}
	x.begin()
	x.keep(5)
	if !x.reach(t.Context(), 5) {
		t.Error("reach() of what is there = false")
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if !x.reach(t.Context(), 7) {
				t.Error("reach() of what comes = false")
			}
		})
	}
	x.keep(6)
	x.keep(7)
	group.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if x.reach(ctx, 8) {
		t.Error("reach() of a caller who has gone = true")
	}
	group.Go(func() {
		if x.reach(t.Context(), 8) {
			t.Error("reach() after the end = true")
		}
	})
	x.drop()
	group.Wait()
}
