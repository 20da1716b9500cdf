package memo

import (
	"fmt"
	"sync"
	"testing"
)

// CTR-D10: each encoder has its own form, and the first one stored stays.
func TestCache(t *testing.T) {
	var c Cache
	if b := c.Load(1); b != nil {
		t.Errorf("Load(1) of an empty cache = %q, want nil", b)
	}
	for _, tt := range []struct {
		id          ID
		store, want string
	}{{1, "one", "one"}, {2, "two", "two"}, {1, "late", "one"}, {2, "late", "two"}, {0, "zero", "zero"}} {
		if got := c.Store(tt.id, []byte(tt.store)); string(got) != tt.want {
			t.Errorf("Store(%d, %s) = %q, want %q", tt.id, tt.store, got, tt.want)
		}
		if got := c.Load(tt.id); string(got) != tt.want {
			t.Errorf("Load(%d) = %q, want %q", tt.id, got, tt.want)
		}
	}
	if b := c.Load(3); b != nil {
		t.Errorf("Load(3) = %q, want nil", b)
	}
}

// All who encode at once end up with one and the same form.
func TestCacheRace(t *testing.T) {
	const encoders, ids = 16, 8
	var (
		c   Cache
		wg  sync.WaitGroup
		got [encoders][ids][]byte
	)
	for e := range encoders {
		wg.Go(func() {
			for id := range ids {
				got[e][id] = c.Store(ID(id), fmt.Append(nil, e))
			}
		})
	}
	wg.Wait()
	for id := range ids {
		winner := c.Load(ID(id))
		for e := range encoders {
			if &got[e][id][0] != &winner[0] {
				t.Errorf("Store(%d) of encoder %d = %q, want the winner's %q", id, e, got[e][id], winner)
			}
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	var c Cache
	for id := range ID(3) {
		c.Store(id, []byte("form"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if c.Load(0) == nil {
			b.Fatal("lost")
		}
	}
}
