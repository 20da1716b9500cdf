package locks_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// CTR-K10: an acquisition with an unknown outcome is read back, by its value.
func TestUncertainAcquire(t *testing.T) {
	for name, tt := range map[string]struct {
		fates []fate
		got   bool
		err   error
	}{
		"there":                         {fates: []fate{done}, got: true},
		"not there, and taken then":     {fates: []fate{lost}, got: true},
		"twice not there":               {fates: []fate{lost, fine, lost}, got: true},
		"there, and not read back":      {fates: []fate{done, lost}, err: kv.ErrUncertain},
		"there, and the store full":     {fates: []fate{done, full}, err: kv.ErrUncertain},
		"not there, and not read back":  {fates: []fate{lost, lost}, err: kv.ErrUncertain},
		"there, and long not read back": {fates: []fate{done, lost, full, lost, full}, err: kv.ErrUncertain},
		"refused":                       {fates: []fate{full}, err: kv.ErrReadOnly},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				t.Helper()
				r.store.meet(tt.fates...)
				h, ok, err := r.For("one").Acquire(t.Context(), request)
				if ok != tt.got || !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Fatalf("Acquire() = %+v, %v, %v, want %v, %v", h, ok, err, tt.got, tt.err)
				}
				pass(time.Minute) // the worker gives back what nobody has
				if ok {
					r.wantHolders(t, h.Token)
					return
				}
				r.wantHolders(t)
				r.take(t)
			})
		})
	}
}

// What comes too late to be read back is nobody's: it is refused to all until it
// ends, and nobody believes to have it.
func TestLateAcquire(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		r.store.meet(late)
		h, ok, err := r.For("one").Acquire(t.Context(), request)
		if ok || err != nil {
			t.Fatalf("Acquire() = %+v, %v, %v, want false: the one before came between", h, ok, err)
		}
		if hs := r.holders(t); len(hs) != 1 {
			t.Errorf("Holders() = %v, want the late one", hs)
		}
		pass(request.TTL + time.Second)
		r.take(t)
	})
}

// Whoever gives up in the middle of a commit leaves no lock behind (NAC-LCK-05: it
// is not tied to a connection, so nobody else would end it).
func TestGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		r.store.meet(hang, full, lost)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h, ok, err := r.For("one").Acquire(ctx, request)
		if ok || !errors.Is(err, kv.ErrUncertain) {
			t.Fatalf("Acquire() = %+v, %v, %v, want %v", h, ok, err, kv.ErrUncertain)
		}
		synctest.Wait()
		if len(r.holders(t)) != 1 {
			t.Error("the acquisition is not there, so nothing is tested")
		}
		pass(10 * time.Second)
		r.wantHolders(t)
	})
}

// Nothing is given back that somebody else has got meanwhile.
func TestGiveBackSparesOthers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		r.store.meet(done, lost, full, full) // and the third try of the worker is fine
		if h, ok, err := r.For("one").Acquire(t.Context(), request); ok || !errors.Is(err, kv.ErrUncertain) {
			t.Fatalf("Acquire() = %+v, %v, %v, want %v", h, ok, err, kv.ErrUncertain)
		}
		r.store.meet()
		if ok, err := r.For("one").Release(t.Context(), lock.Held{Space: "s", Name: "n"}); !ok || err != nil {
			t.Fatalf("Release() = %v, %v", ok, err)
		}
		h := r.take(t)
		pass(30 * time.Second)
		r.wantHolders(t, h.Token)
	})
}

// STY-34: what may have happened is told so, and a second call finds out.
func TestUncertainChange(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		l, h := r.For("one"), r.take(t)
		for _, f := range []fate{lost, done} {
			r.store.meet(f)
			if ok, err := l.Extend(t.Context(), h, time.Minute); ok || !errors.Is(err, kv.ErrUncertain) {
				t.Errorf("Extend() = %v, %v, want %v", ok, err, kv.ErrUncertain)
			}
			if ok, err := l.Extend(t.Context(), h, time.Minute); !ok || err != nil {
				t.Errorf("Extend() again = %v, %v, want true", ok, err)
			}
		}
		for _, f := range []fate{lost, done} {
			r.store.meet(f)
			if ok, err := l.Release(t.Context(), h); ok || !errors.Is(err, kv.ErrUncertain) {
				t.Errorf("Release() = %v, %v, want %v", ok, err, kv.ErrUncertain)
			}
		}
		if ok, err := l.Release(t.Context(), h); ok || err != nil {
			t.Errorf("Release() again = %v, %v, want false: it was", ok, err)
		}
	})
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
