package locktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/lock"
)

// moment is long enough for a call that has nothing to wait for.
const moment = 100 * time.Millisecond

// answer is what Acquire came to, and after how long.
type answer struct {
	held lock.Held
	ok   bool
	err  error
	took time.Duration
}

// queue asks for the lock a in a goroutine and lets it come to wait.
func queue(ctx context.Context, b Backend, l lock.Locks, wait time.Duration) <-chan answer {
	out := make(chan answer, 1)
	begin := time.Now()
	go func() {
		var a answer
		a.held, a.ok, a.err = l.Acquire(ctx, lock.Request{Space: space, Name: "a", TTL: ttl, Wait: wait})
		a.took = time.Since(begin)
		out <- a
	}()
	b.Pass(moment)
	return out
}

func wantQueued(t *testing.T, out <-chan answer) {
	t.Helper()
	select {
	case a := <-out:
		t.Fatalf("Acquire() = %+v, want it to wait", a)
	default:
	}
}

func waitOver(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Minute})
	const wait = time.Second
	first, second := queue(within(t), b, l, wait), queue(within(t), b, l, wait)
	wantQueued(t, first)
	for _, out := range []<-chan answer{first, second} {
		if a := <-out; a.ok || a.err != nil || a.held != (lock.Held{}) || a.took < wait {
			t.Errorf("Acquire() = %+v, want it taken for %v", a, wait)
		}
	}
	if _, ok := acquire(t, l, lock.Request{Name: "a", Wait: -time.Second}); ok {
		t.Error("Acquire() of a lock that is held = true")
	}
	wantRelease(t, l, h, true)
	take(t, l, lock.Request{Name: "a", Wait: wait})
}

func waitForRelease(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Minute})
	out := queue(within(t), b, l, time.Minute)
	wantExtend(t, l, h, time.Hour, true) // a change that does not free it
	b.Pass(moment)
	wantQueued(t, out)
	wantRelease(t, l, h, true)
	if a := <-out; !a.ok || a.err != nil || a.held.Token <= h.Token || a.took > 30*time.Second {
		t.Errorf("Acquire() = %+v, want it at once after the release of %+v", a, h)
	}
	wantTaken(t, l, "a")
}

// Who waits has the lock soon after its time is over, and not before: the time of
// the last extension.
func waitForExpiry(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Minute})
	out := queue(within(t), b, l, time.Hour)
	begin := time.Now()
	wantExtend(t, l, h, ttl, true)
	a := <-out
	if lived := time.Since(begin); !a.ok || a.err != nil || a.held.Token <= h.Token || lived < ttl || lived > ttl+b.Late+30*time.Second {
		t.Errorf("Acquire() = %+v %v after the extension, want it after %v", a, lived, ttl)
	}
	wantExtend(t, l, h, ttl, false)
}

func waitInOrder(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Minute})
	var order []<-chan answer
	for range 8 {
		order = append(order, queue(within(t), b, l, time.Hour))
	}
	for i, out := range order {
		if i%2 == 0 {
			wantRelease(t, l, h, true)
		}
		a := <-out // an even one by release, an odd one by the end of its time
		if !a.ok || a.err != nil || a.held.Token <= h.Token {
			t.Fatalf("Acquire() of number %d = %+v, want it", i, a)
		}
		for _, later := range order[i+1:] {
			wantQueued(t, later)
		}
		h = a.held
	}
}

// Whoever gives up leaves no lock behind and lets the next one pass.
func waitGivenUp(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Minute})
	ctx, cancel := context.WithCancel(within(t))
	first, second, third := queue(ctx, b, l, time.Hour), queue(ctx, b, l, time.Hour), queue(within(t), b, l, time.Hour)
	cancel()
	for _, out := range []<-chan answer{first, second} {
		if a := <-out; a.ok || !errors.Is(a.err, context.Canceled) {
			t.Errorf("Acquire() = %+v, want %v", a, context.Canceled)
		}
	}
	wantQueued(t, third)
	wantRelease(t, l, h, true)
	a := <-third
	if !a.ok || a.err != nil {
		t.Fatalf("Acquire() = %+v, want it", a)
	}
	wantRelease(t, l, a.held, true)
	wantRelease(t, l, lock.Held{Space: space, Name: "a"}, false)
}

// Many who want one lock have it one after the other, each with a higher token
// than the one before.
func exclusion(t *testing.T, b Backend) {
	t.Helper()
	const clients, rounds = 8, 12
	l := b.Locks(owner)
	var (
		wg     sync.WaitGroup
		inside atomic.Int32
		seen   []uint64 // guarded by the lock under test
	)
	errs := make(chan error, clients)
	for range clients {
		wg.Go(func() {
			for range rounds {
				h, ok, err := l.Acquire(t.Context(), lock.Request{Space: space, Name: "a", TTL: time.Hour, Wait: time.Hour})
				if err != nil || !ok {
					errs <- fmt.Errorf("Acquire() = %v, %w", ok, err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				seen = append(seen, h.Token)
				inside.Add(-1)
				if ok, err := l.Release(t.Context(), h); err != nil || !ok {
					errs <- fmt.Errorf("Release() = %v, %w", ok, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	if len(seen) != clients*rounds || !slices.IsSorted(seen) || len(slices.Compact(seen)) != clients*rounds {
		t.Errorf("tokens = %v, want %d that grow", seen, clients*rounds)
	}
}
