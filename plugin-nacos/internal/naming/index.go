package naming

import (
	"context"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/easynet-cn/batata/core/registry"
)

// index holds the names of all services by group, sorted, so that a page of them
// costs the same however many there are (ENG-25). Run keeps it; who reads waits
// until it has seen what the catalog has, which takes no time but in a burst.
type index struct {
	mu      sync.Mutex // guards the rest
	kept    bool       // Run keeps it
	groups  map[groupKey]*btree.Set[string]
	version uint64        // of the last change in it
	moved   chan struct{} // closed when the version grows
}

type groupKey struct{ namespace, group string }

// begin empties the index, whose services are told next.
func (x *index) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept, x.groups, x.version = false, map[groupKey]*btree.Set[string]{}, 0
}

// keep says that the index holds all there was at a version.
func (x *index) keep(version uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = true
	x.move(version)
}

// drop says that nobody keeps it any more.
func (x *index) drop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = false
	x.move(x.version)
}

// move wakes those who wait; mu is held.
func (x *index) move(version uint64) {
	x.version = max(x.version, version)
	if x.moved != nil {
		close(x.moved)
		x.moved = nil
	}
}

// set notes that a service is there, or is not.
func (x *index) set(k registry.ServiceKey, there bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	g := groupKey{k.Namespace, k.Group}
	names := x.groups[g]
	switch {
	case there && names == nil:
		names = &btree.Set[string]{}
		x.groups[g] = names
		names.Insert(k.Name)
	case there:
		names.Insert(k.Name)
	case names != nil:
		if names.Delete(k.Name); names.Len() == 0 {
			delete(x.groups, g)
		}
	}
}

// page returns one page of a group and how many names it has.
func (x *index) page(g groupKey, page, size int) ([]string, int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := x.groups[g]
	if names == nil {
		return []string{}, 0
	}
	from, to := window(page, size)
	to = min(to, names.Len())
	out := make([]string, 0, max(0, to-from))
	for i := from; i < to; i++ {
		name, _ := names.GetAt(i)
		out = append(out, name)
	}
	return out, names.Len()
}

// reach waits until a version is in the index. False: nobody keeps it, or it does
// not keep up.
func (x *index) reach(ctx context.Context, version uint64) bool {
	const patience = time.Second
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		x.mu.Lock()
		if !x.kept || x.version >= version {
			defer x.mu.Unlock()
			return x.kept
		}
		if x.moved == nil {
			x.moved = make(chan struct{})
		}
		moved := x.moved
		x.mu.Unlock()
		select {
		case <-moved:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
