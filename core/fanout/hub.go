// Package fanout wakes parked requests: a plugin pulls one stream of changes
// from core and fires the keys that changed; whoever waits on one of them is
// woken (CTR-D11). It owns no goroutine.
package fanout

import "sync"

// Hub wakes waiters by key. The zero value is ready to use; all methods are
// safe for concurrent use.
//
// A waiter joins before it compares states, so that no change can fall between
// the comparison and the wait.
type Hub[K comparable] struct {
	mu      sync.Mutex // guards waiters and every Waiter's list position
	waiters map[K]map[*Waiter[K]]struct{}
}

// Waiter is one parked request.
type Waiter[K comparable] struct {
	keys  []K
	fired chan K
}

// C delivers the first key that fired; later ones are dropped. It is never
// closed.
func (w *Waiter[K]) C() <-chan K { return w.fired }

// Join parks a waiter on keys. It must be ended with Leave.
func (h *Hub[K]) Join(keys ...K) *Waiter[K] {
	// Capacity 1: the first key is kept without blocking Fire, more are not needed.
	w := &Waiter[K]{keys: keys, fired: make(chan K, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = make(map[K]map[*Waiter[K]]struct{})
	}
	for _, k := range keys {
		set := h.waiters[k]
		if set == nil {
			set = make(map[*Waiter[K]]struct{}, 1)
			h.waiters[k] = set
		}
		set[w] = struct{}{}
	}
	return w
}

// Leave ends a waiter; it is idempotent.
func (h *Hub[K]) Leave(w *Waiter[K]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range w.keys {
		set := h.waiters[k]
		delete(set, w)
		if len(set) == 0 {
			delete(h.waiters, k)
		}
	}
}

// Fire wakes everyone who waits on k and returns how many that were.
func (h *Hub[K]) Fire(k K) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := h.waiters[k]
	for w := range set {
		select {
		case w.fired <- k:
		default: // already woken by another key
		}
	}
	return len(set)
}

// Len returns the number of keys somebody waits on.
func (h *Hub[K]) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters)
}
