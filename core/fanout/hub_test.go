package fanout

import (
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fired returns what w has been told, "" for nothing.
func fired(w *Waiter[string]) string {
	select {
	case k := <-w.C():
		return k
	default:
		return ""
	}
}

// CTR-D11.
func TestFire(t *testing.T) {
	var h Hub[string]
	if n := h.Fire("a"); n != 0 {
		t.Errorf("Fire(a) with nobody there = %d, want 0", n)
	}
	both, onlyB, again := h.Join("a", "b"), h.Join("b"), h.Join("a", "a")
	if n := h.Len(); n != 2 {
		t.Errorf("Len() = %d, want 2", n)
	}
	if n := h.Fire("a"); n != 2 {
		t.Errorf("Fire(a) = %d, want 2", n)
	}
	if n := h.Fire("b"); n != 2 { // one of them is awake already
		t.Errorf("Fire(b) = %d, want 2", n)
	}
	for name, tt := range map[string]struct {
		w    *Waiter[string]
		want string
	}{"both": {both, "a"}, "onlyB": {onlyB, "b"}, "again": {again, "a"}} {
		if got := fired(tt.w); got != tt.want {
			t.Errorf("%s heard %q, want %q", name, got, tt.want)
		}
		if got := fired(tt.w); got != "" {
			t.Errorf("%s heard %q as well, want the first key only", name, got)
		}
	}
	h.Leave(both)
	h.Leave(both)
	if n := h.Fire("b"); n != 1 || fired(both) != "" || fired(onlyB) != "b" {
		t.Errorf("Fire(b) = %d, want onlyB alone", n)
	}
	h.Leave(onlyB)
	h.Leave(again)
	if n := h.Len(); n != 0 {
		t.Errorf("Len() = %d after all left, want 0", n)
	}
}

func TestJoinNothing(t *testing.T) {
	var h Hub[int]
	w := h.Join()
	h.Fire(0)
	h.Leave(w)
	if n := h.Len(); n != 0 {
		t.Errorf("Len() = %d, want 0", n)
	}
}

// Who joins before it looks at the state misses no change.
func TestNoLostWakeup(t *testing.T) {
	var (
		h       Hub[int]
		wg      sync.WaitGroup
		mu      sync.Mutex // guards version
		version int
	)
	const changes = 2000
	read := func() int {
		mu.Lock()
		defer mu.Unlock()
		return version
	}
	for range 4 {
		wg.Go(func() {
			for seen := 0; seen < changes; {
				w := h.Join(1, 2)
				if now := read(); now > seen {
					seen = now
				} else {
					<-w.C()
				}
				h.Leave(w)
			}
		})
	}
	wg.Go(func() {
		for i := range changes {
			mu.Lock()
			version++
			mu.Unlock()
			h.Fire(1 + i%2)
		}
	})
	wg.Wait()
	if n := h.Len(); n != 0 {
		t.Errorf("Len() = %d, want 0", n)
	}
}
