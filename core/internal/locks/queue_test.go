package locks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// STY-52: those who wait are bounded, all together, and leave nothing behind.
func TestWaiters(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		l, q := r.For("one"), request
		q.TTL = lock.MaxTTL
		for i := range 4 {
			q.Name = fmt.Sprint(i)
			if _, ok, err := l.Acquire(t.Context(), q); !ok || err != nil {
				t.Fatalf("Acquire() = %v, %v", ok, err)
			}
		}
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range lock.MaxWaiters {
			q := lock.Request{Space: "s", Name: fmt.Sprint(i % 4), TTL: time.Hour, Wait: time.Hour}
			wg.Go(func() {
				if h, ok, err := l.Acquire(ctx, q); ok || !errors.Is(err, context.Canceled) {
					t.Errorf("Acquire() = %+v, %v, %v, want %v", h, ok, err, context.Canceled)
				}
			})
		}
		synctest.Wait()
		q.Wait = time.Hour
		if h, ok, err := l.Acquire(t.Context(), q); ok || !errors.Is(err, kv.ErrOverloaded) {
			t.Errorf("Acquire() = %+v, %v, %v, want %v", h, ok, err, kv.ErrOverloaded)
		}
		if n, refused := r.figure(t, "batata_core_lock_waiters"), r.figure(t, "batata_core_locks_refused_total"); n != lock.MaxWaiters || refused != 1 {
			t.Errorf("waiters = %v, refused %v, want %d and 1", n, refused, lock.MaxWaiters)
		}
		cancel()
		wg.Wait()
		if n := r.figure(t, "batata_core_lock_waiters"); n != 0 {
			t.Errorf("waiters = %v, want none", n)
		}
	})
}

// Who waits has a lock when its time is over, without waiting for the lessor.
func TestWaitForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		h := r.take(t)
		end := r.clock.endAfter(10 * time.Second)
		q := request
		q.Wait = time.Hour
		next, ok, err := r.For("one").Acquire(t.Context(), q)
		if !ok || err != nil || next.Token <= h.Token || !time.Now().Equal(end) {
			t.Errorf("Acquire() = %+v, %v, %v at %v, want it at %v", next, ok, err, time.Now(), end)
		}
	})
}

// When the first in line fails, the next one looks.
func TestFirstFails(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		h := r.take(t)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				q := request
				q.Wait = time.Hour
				_, ok, err := r.For("one").Acquire(t.Context(), q)
				if err == nil && !ok {
					err = errors.New("taken")
				}
				results <- err
			}()
			synctest.Wait()
		}
		r.store.meet(fine, full) // the release, and the first in line
		if ok, err := r.For("one").Release(t.Context(), h); !ok || err != nil {
			t.Fatalf("Release() = %v, %v", ok, err)
		}
		begin := time.Now()
		first, second := <-results, <-results
		if !errors.Is(first, kv.ErrReadOnly) || second != nil || time.Since(begin) > time.Second {
			t.Errorf("Acquire() = %v, then %v after %v, want %v, then the lock", first, second, time.Since(begin), kv.ErrReadOnly)
		}
	})
}

// Who waits is sent away when the member stops, or has failed.
func TestWaitersSentAway(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*rig)
		want error
	}{
		"stopped": {end: func(r *rig) { r.stop() }, want: kv.ErrClosed},
		"failed":  {end: func(r *rig) { close(r.failed) }, want: kv.ErrNoLeader},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				t.Helper()
				r.take(t)
				errs := make(chan error, 1)
				go func() {
					q := request
					q.Wait = time.Hour
					_, _, err := r.For("one").Acquire(t.Context(), q)
					errs <- err
				}()
				synctest.Wait()
				tt.end(r)
				if err := <-errs; !errors.Is(err, tt.want) {
					t.Errorf("Acquire() = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

// A store that forgets what changed is listed anew, and nobody sleeps on.
func TestCompacted(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		h := r.take(t)
		got := make(chan bool, 1)
		go func() {
			q := request
			q.Wait = time.Hour
			_, ok, err := r.For("one").Acquire(t.Context(), q)
			got <- ok && err == nil
		}()
		synctest.Wait()
		r.store.deaf.Store(true)
		if ok, err := r.For("one").Release(t.Context(), h); !ok || err != nil {
			t.Errorf("Release() = %v, %v", ok, err)
		}
		for i := range 10 {
			q := request
			q.Name = fmt.Sprint(i)
			if _, ok, err := r.For("two").Acquire(t.Context(), q); !ok || err != nil {
				t.Errorf("Acquire(%d) = %v, %v", i, ok, err)
			}
		}
		pass(time.Second)
		select {
		case ok := <-got:
			t.Fatalf("Acquire() = %v without a change, so nothing is tested", ok)
		default:
		}
		begin := time.Now()
		r.store.cut(kv.ErrCompacted)
		if ok := <-got; !ok || time.Since(begin) > time.Second {
			t.Errorf("Acquire() = %v after %v", ok, time.Since(begin))
		}
		synctest.Wait()
		if n := r.figure(t, "batata_core_locks_held"); n != 11 {
			t.Errorf("held = %v, want 11", n)
		}
		// Any other end of the stream is met by another one, a little later.
		r.store.cut(kv.ErrOverloaded)
		if ok, err := r.For("one").Release(t.Context(), lock.Held{Space: "s", Name: "n"}); !ok || err != nil {
			t.Errorf("Release() = %v, %v", ok, err)
		}
		pass(2 * time.Second)
		if n := r.figure(t, "batata_core_locks_held"); n != 10 {
			t.Errorf("held = %v, want 10", n)
		}
	})
}
