package fanout

import (
	"errors"
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// What subscribers make a Pusher keep is bounded; what was refused leaves nothing
// behind, and what left makes room.
func TestBounds(t *testing.T) {
	p := New(Settings[int, []byte]{Naming: naming.New(naming.Settings{}), MaxEach: 3, MaxTotal: 5, MaxViews: 2})
	k := func(n int) registry.ServiceKey { return naming.Key("", "G", fmt.Sprint("s", n)) }
	add := func(c, service int, clusters string, want error) {
		t.Helper()
		before := p.Count()
		_, err := p.Add(c, k(service), Subscription{Clusters: clusters})
		if !errors.Is(err, want) {
			t.Errorf("Add(%d, %d, %q) = %v, want %v", c, service, clusters, err, want)
		}
		if err != nil && p.Count() != before {
			t.Errorf("Count() went from %d to %d", before, p.Count())
		}
	}
	add(1, 1, "", nil)
	add(1, 2, "", nil)
	add(1, 3, "", nil)
	add(1, 4, "", ErrFull) // of one
	add(1, 3, "", nil)     // it has that
	add(2, 1, "a", nil)
	add(3, 1, "b", ErrFull) // ways
	add(1, 1, "b", ErrFull) // likewise
	add(3, 1, "a", nil)
	add(3, 2, "", ErrFull) // of all
	p.Leave(1)
	add(3, 2, "", nil)
	p.Remove(3, k(1), nil)
	p.Remove(3, k(1), nil) // it is gone
	add(3, 1, "b", nil)
	if n := p.Count(); n != 3 {
		t.Errorf("Count() = %d, want 3", n)
	}
}
