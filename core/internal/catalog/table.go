package catalog

import "sync/atomic"

// hashed is what a table holds.
type hashed[T any] interface {
	*T
	hash() uint64
}

// table finds entries by hash, by open addressing. One goroutine at a time
// writes; readers take no lock and may miss what is added while they look.
type table[T any, P hashed[T]] struct {
	slots atomic.Pointer[[]atomic.Pointer[T]]
	grave *T  // marks the slot of an entry that went
	used  int // slots that are not nil
	live  int
}

const leastSlots = 64

func (t *table[T, P]) init() {
	t.grave = new(T)
	slots := make([]atomic.Pointer[T], leastSlots)
	t.slots.Store(&slots)
}

// find returns the entry of a hash that is the one wanted, nil when absent.
func (t *table[T, P]) find(h uint64, is func(*T) bool) *T {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		e := slots[i].Load()
		if e == nil {
			return nil
		}
		if e != t.grave && is(e) {
			return e
		}
	}
}

// add puts an entry whose key is not there.
func (t *table[T, P]) add(h uint64, e *T) {
	slots := *t.slots.Load()
	if (t.used+1)*4 > len(slots)*3 {
		slots = t.resize()
	}
	mask := uint64(len(slots) - 1)
	i := h & mask
	for slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].Store(e)
	t.used++
	t.live++
}

// drop removes an entry.
func (t *table[T, P]) drop(h uint64, e *T) {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch slots[i].Load() {
		case nil:
			return
		case e:
			slots[i].Store(t.grave)
			t.live--
			return
		}
	}
}

// resize moves the live entries to slots of which at most half are used.
func (t *table[T, P]) resize() []atomic.Pointer[T] {
	n := leastSlots
	for n < 2*(t.live+1) {
		n *= 2
	}
	old := *t.slots.Load()
	slots := make([]atomic.Pointer[T], n)
	mask := uint64(n - 1)
	for j := range old {
		e := old[j].Load()
		if e == nil || e == t.grave {
			continue
		}
		i := P(e).hash() & mask
		for slots[i].Load() != nil {
			i = (i + 1) & mask
		}
		slots[i].Store(e)
	}
	t.used = t.live
	t.slots.Store(&slots)
	return slots
}

// each calls fn for every entry; fn may drop the one it is given.
func (t *table[T, P]) each(fn func(*T)) {
	for j := range *t.slots.Load() {
		if e := (*t.slots.Load())[j].Load(); e != nil && e != t.grave {
			fn(e)
		}
	}
}
