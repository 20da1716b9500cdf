// Package fanout wakes parked requests: a plugin pulls one stream of changes
// from core and takes those off the hub who wait on what changed (CTR-D11,
// ENG-12). It owns no goroutine.
package fanout

import "sync"

// Hub finds waiters by key. The zero value is ready to use; all methods are safe
// for concurrent use. W is what the plugin knows a waiter by.
//
// A waiter joins before it compares states, so that no change can fall between
// the comparison and the wait.
type Hub[K, W comparable] struct {
	mu      sync.Mutex // guards waiters
	waiters map[K]map[*Waiter[K, W]]int
}

// Waiter is one parked request.
type Waiter[K, W comparable] struct {
	who  W
	keys []K
}

// Join parks a waiter on keys. It ends with Leave, or when it is taken.
func (h *Hub[K, W]) Join(who W, keys ...K) *Waiter[K, W] {
	w := &Waiter[K, W]{who: who, keys: keys}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = make(map[K]map[*Waiter[K, W]]int)
	}
	for i, k := range keys {
		set := h.waiters[k]
		if set == nil {
			set = make(map[*Waiter[K, W]]int, 1)
			h.waiters[k] = set
		}
		set[w] = i
	}
	return w
}

// Leave ends a waiter; it is idempotent.
func (h *Hub[K, W]) Leave(w *Waiter[K, W]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leave(w)
}

func (h *Hub[K, W]) leave(w *Waiter[K, W]) {
	for _, k := range w.keys {
		set := h.waiters[k]
		delete(set, w)
		if len(set) == 0 {
			delete(h.waiters, k)
		}
	}
}

// Take ends, in one pass, those who wait on k and are due, and returns them. due
// is called with the number of k among the keys of the waiter, the last one where
// it gave k twice; it must not call the hub.
func (h *Hub[K, W]) Take(k K, due func(who W, n int) bool) []W {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []W
	for w, n := range h.waiters[k] {
		if due(w.who, n) {
			if out == nil {
				out = make([]W, 0, len(h.waiters[k]))
			}
			out = append(out, w.who)
			h.leave(w)
		}
	}
	return out
}

// Any says whether somebody waits on k.
func (h *Hub[K, W]) Any(k K) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters[k]) > 0
}

// Each calls f for everybody who waits on k, with the number of k as Take has it.
// f must not call the hub.
func (h *Hub[K, W]) Each(k K, f func(who W, n int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w, n := range h.waiters[k] {
		f(w.who, n)
	}
}

// Keys returns what somebody waits on.
func (h *Hub[K, W]) Keys() []K {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]K, 0, len(h.waiters))
	for k := range h.waiters {
		out = append(out, k)
	}
	return out
}
