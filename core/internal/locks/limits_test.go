package locks_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/internal/locks"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// STY-52: locks cost memory until their time is over, so they have a number.
func TestMaxHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		r.Pretend(lock.MaxHeld - 1)
		h := r.take(t)
		q := request
		q.Name = "another"
		pass(0)
		if h, ok, err := r.For("one").Acquire(t.Context(), q); ok || !errors.Is(err, kv.ErrOverloaded) {
			t.Errorf("Acquire() = %+v, %v, %v, want %v", h, ok, err, kv.ErrOverloaded)
		}
		if n := r.figure(t, "batata_core_locks_refused_total"); n != 1 {
			t.Errorf("refused = %v, want 1", n)
		}
		if ok, err := r.For("one").Release(t.Context(), h); !ok || err != nil {
			t.Errorf("Release() = %v, %v", ok, err)
		}
		pass(0)
		r.take(t)
	})
}

// What waits to be given back is bounded: beyond it a lock ends with its time.
func TestMaxAbandoned(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		r.stop()
		const more = 3
		for i := range locks.MaxAbandoned + more {
			r.store.meet(lost, lost)
			q := request
			q.Name = fmt.Sprint(i)
			if h, ok, err := r.For("one").Acquire(t.Context(), q); ok || !errors.Is(err, kv.ErrUncertain) {
				t.Fatalf("Acquire() = %+v, %v, %v, want %v", h, ok, err, kv.ErrUncertain)
			}
		}
		if n := r.figure(t, "batata_core_locks_refused_total"); n != more {
			t.Errorf("refused = %v, want %d", n, more)
		}
	})
}

// A row that is not understood is told so, and is nobody's to change.
func TestRowNotUnderstood(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		h := r.take(t)
		v, err := r.store.View(t.Context(), kv.Local)
		if err != nil {
			t.Fatal(err)
		}
		page, err := v.Range(t.Context(), kv.Range{Table: "lock"})
		if err != nil || len(page.Records) != 1 {
			t.Fatalf("Range() = %d rows, %v, want the lock", len(page.Records), err)
		}
		rec := page.Records[0]
		for _, value := range [][]byte{nil, {1, 2, 3}, append([]byte{99}, rec.Value[1:]...)} {
			op := kv.Op{Kind: kv.Put, Table: "lock", Key: rec.Key, Value: value, Lease: rec.Lease}
			if _, err := r.store.Commit(t.Context(), kv.Txn{Then: []kv.Op{op}}); err != nil {
				t.Fatal(err)
			}
			if ok, err := r.For("one").Release(t.Context(), h); ok || err == nil {
				t.Errorf("Release() of %v = %v, %v, want an error", value, ok, err)
			}
			if ok, err := r.For("one").Extend(t.Context(), h, request.TTL); ok || err == nil {
				t.Errorf("Extend() of %v = %v, %v, want an error", value, ok, err)
			}
			if hs, err := r.For("one").Holders(t.Context(), "s", "", 0); err == nil {
				t.Errorf("Holders() with %v = %v, want an error", value, hs)
			}
			if _, ok, err := r.For("one").Acquire(t.Context(), request); ok || err != nil {
				t.Errorf("Acquire() of %v = %v, %v, want it taken", value, ok, err)
			}
		}
	})
}
