package locks_test

import (
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/lock"
)

// A lock whose time is over is taken before the lessor has ended it, unless its
// holder has prolonged it meanwhile.
func TestOver(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		first := r.take(t)
		if h, ok, err := r.For("one").Acquire(t.Context(), request); ok || err != nil {
			t.Fatalf("Acquire() = %+v, %v, %v, want it taken: nobody knows its time", h, ok, err)
		}
		r.clock.endAfter(0)
		second := r.take(t)
		r.wantHolders(t, second.Token)
		if second.Token <= first.Token {
			t.Errorf("Token = %d after %d, want a higher one", second.Token, first.Token)
		}
		for call, change := range map[string]func() (bool, error){
			"Extend":  func() (bool, error) { return r.For("one").Extend(t.Context(), first, time.Minute) },
			"Release": func() (bool, error) { return r.For("one").Release(t.Context(), first) },
		} {
			if ok, err := change(); ok || err != nil {
				t.Errorf("%s() of the first = %v, %v, want false", call, ok, err)
			}
		}
		if got := r.figure(t, "batata_core_locks_held"); got != 1 {
			t.Errorf("held = %v, want 1", got)
		}
	})
}

// Every change is one of what was read: whoever is overtaken looks again.
func TestOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		l := r.For("one")
		want := func(call string, want bool) func(bool, error) {
			return func(got bool, err error) {
				t.Helper()
				if got != want || err != nil {
					t.Errorf("%s = %v, %v, want %v", call, got, err, want)
				}
			}
		}
		var winner lock.Held
		r.store.overtake(func() { winner = r.take(t) })
		_, ok, err := l.Acquire(t.Context(), request)
		want("Acquire() of what another one has just got", false)(ok, err)

		r.store.overtake(func() { want("Extend()", true)(l.Extend(t.Context(), winner, time.Hour)) })
		want("Release() of what was just prolonged", true)(l.Release(t.Context(), winner))
		r.wantHolders(t)

		h := r.take(t)
		r.store.overtake(func() { want("Release()", true)(l.Release(t.Context(), h)) })
		want("Extend() of what was just released", false)(l.Extend(t.Context(), h, time.Hour))
		r.wantHolders(t)

		h = r.take(t)
		r.store.overtake(func() { want("Release()", true)(l.Release(t.Context(), h)) })
		want("Release() of what was just released", false)(l.Release(t.Context(), h))

		h = r.take(t)
		r.clock.endAfter(0)
		r.store.overtake(func() {
			want("Extend()", true)(l.Extend(t.Context(), h, time.Hour))
			r.clock.endAfter(time.Hour)
		})
		_, ok, err = l.Acquire(t.Context(), request)
		want("Acquire() of what was just prolonged", false)(ok, err)
		r.wantHolders(t, h.Token)
	})
}
