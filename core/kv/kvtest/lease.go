package kvtest

import (
	"errors"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// testLeases wants rows to live and go with their lease (CTR-K06).
func testLeases(t *testing.T, h *harness) {
	t.Helper()
	if h.leases == nil {
		t.Skip("no leases")
	}
	grant := func() kv.LeaseID {
		t.Helper()
		id, err := h.leases.Grant(within(t), time.Minute)
		if err != nil || id == 0 || id > 1<<63-1 {
			t.Fatalf("Grant() = %d, %v", id, err)
		}
		return id
	}
	one, two := grant(), grant()
	leased := func(key string, id kv.LeaseID) kv.Op {
		o := put(hotTable, key, "v")
		o.Lease = id
		return o
	}
	h.must(t, leased("a", one), leased("b", one), leased("c", two), put(hotTable, "d", "v"))
	left, err := h.leases.KeepAlive(within(t), []kv.LeaseID{one, 12345, two})
	if err != nil || len(left) != 3 || left[0] <= 0 || left[0] > time.Minute || left[1] != 0 || left[2] <= 0 {
		t.Errorf("KeepAlive() = %v, %v, want a minute, gone, a minute", left, err)
	}
	st := h.watch(t, kv.Watch{Table: hotTable})
	next(t, st)
	if err := h.leases.Revoke(within(t), []kv.LeaseID{one, 12345}); err != nil {
		t.Errorf("Revoke() = %v", err)
	}
	if b := nextEvents(t, st); describe(b) != "-a, -b" || b.Events[0].Record.Modified != b.Events[1].Record.Modified {
		t.Errorf("Revoke() deletes %q, want a and b in one revision", describe(b))
	}
	if left, err := h.leases.KeepAlive(within(t), []kv.LeaseID{one}); err != nil || left[0] != 0 {
		t.Errorf("KeepAlive(gone) = %v, %v, want 0", left, err)
	}
	if _, err := h.Commit(within(t), kv.Txn{Then: []kv.Op{put(hotTable, "x", ""), leased("a", one)}}); !errors.Is(err, kv.ErrLeaseGone) {
		t.Errorf("Commit() = %v, want %v", err, kv.ErrLeaseGone)
	}
	if _, err := h.Get(within(t), hotTable, []byte("x")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(x) = %v, want %v: the refused transaction left a row", err, kv.ErrNotFound)
	}
	h.must(t, leased("a", two), kv.Op{Kind: kv.Touch, Table: hotTable, Key: []byte("c")}, kv.Op{Kind: kv.Revoke, Lease: two})
	if got := rows(t, h.view(t), hotTable); len(got) != 1 {
		t.Errorf("rows left: %q, want d", got)
	}
}

// testExpiry wants a lease to live for its TTL, longer when kept alive, and to
// take its rows with it in one revision.
func testExpiry(t *testing.T, h *harness) {
	t.Helper()
	if h.leases == nil {
		t.Skip("no leases")
	}
	const ttl = time.Second
	st := h.watch(t, kv.Watch{Table: hotTable})
	next(t, st)
	id, err := h.leases.Grant(within(t), ttl)
	if err != nil {
		t.Fatalf("Grant() = %v", err)
	}
	a, b := put(hotTable, "a", "v"), put(hotTable, "b", "v")
	a.Lease, b.Lease = id, id
	h.must(t, a, b)
	if b := nextEvents(t, st); describe(b) != "a=v, b=v" {
		t.Fatalf("Next() = %q", describe(b))
	}
	kept := time.Now()
	if left, err := h.leases.KeepAlive(within(t), []kv.LeaseID{id}); err != nil || left[0] <= 0 || left[0] > ttl {
		t.Fatalf("KeepAlive() = %v, %v", left, err)
	}
	gone := nextEvents(t, st)
	if describe(gone) != "-a, -b" || gone.Events[0].Record.Modified != gone.Events[1].Record.Modified {
		t.Errorf("expiry deletes %q, want a and b in one revision", describe(gone))
	}
	if lived := time.Since(kept); lived < ttl {
		t.Errorf("the lease lived for %s, want %s at least", lived, ttl)
	}
	if left, err := h.leases.KeepAlive(within(t), []kv.LeaseID{id}); err != nil || left[0] != 0 {
		t.Errorf("KeepAlive(expired) = %v, %v, want 0", left, err)
	}
}
