package fanout

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func always(string, int) bool { return true }

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " ")
}

// CTR-D11: a change takes those who are due off all keys they wait on.
func TestTake(t *testing.T) {
	var h Hub[string, string]
	if got := h.Take("a", always); got != nil {
		t.Errorf("Take(a) with nobody there = %v, want nothing", got)
	}
	if h.Any("a") {
		t.Error("Any(a) with nobody there = true")
	}
	h.Join("both", "a", "b")
	onlyB := h.Join("onlyB", "b")
	again := h.Join("again", "a", "c", "a")
	if got := sorted(h.Keys()); got != "a b c" {
		t.Errorf("Keys() = %q, want a b c", got)
	}
	var asked []string
	got := h.Take("a", func(who string, n int) bool {
		asked = append(asked, who+strconv.Itoa(n))
		return who == "both"
	})
	if sorted(got) != "both" || sorted(asked) != "again2 both0" {
		t.Errorf("Take(a) = %v of %v, want both of again2, both0", got, asked)
	}
	var on []string
	h.Each("b", func(who string, n int) { on = append(on, who+strconv.Itoa(n)) })
	if sorted(on) != "onlyB0" {
		t.Errorf("Each(b) = %v, want onlyB0: who was taken has left all keys", on)
	}
	h.Leave(onlyB)
	h.Leave(onlyB)
	if got := h.Take("b", always); got != nil {
		t.Errorf("Take(b) after all left = %v, want nothing", got)
	}
	if !h.Any("c") || h.Any("b") {
		t.Errorf("Any(c), Any(b) = %v, %v, want true, false", h.Any("c"), h.Any("b"))
	}
	h.Leave(again)
	if got := h.Keys(); len(got) != 0 {
		t.Errorf("Keys() after all left = %v, want none", got)
	}
}

func TestJoinNothing(t *testing.T) {
	var h Hub[int, int]
	h.Leave(h.Join(7))
	if got := h.Keys(); len(got) != 0 {
		t.Errorf("Keys() = %v, want none", got)
	}
}

// Who joins before it looks at the state misses no change.
func TestNoLostWakeup(t *testing.T) {
	var (
		h       Hub[int, chan struct{}]
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
				woken := make(chan struct{})
				w := h.Join(woken, 1, 2)
				if now := read(); now > seen {
					seen = now
				} else {
					<-woken
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
			for _, woken := range h.Take(1+i%2, func(chan struct{}, int) bool { return true }) {
				close(woken)
			}
		}
	})
	wg.Wait()
	if got := h.Keys(); len(got) != 0 {
		t.Errorf("Keys() = %v, want none", got)
	}
}

// CTR-F08: 10,000 are taken in one pass.
func BenchmarkTake(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		b.StopTimer()
		var h Hub[string, int]
		for i := range n {
			h.Join(i, "k")
		}
		b.StartTimer()
		if got := len(h.Take("k", func(int, int) bool { return true })); got != n {
			b.Fatalf("Take() = %d, want %d", got, n)
		}
	}
}
