package kv

import (
	"context"
	"time"
)

// LeaseID names a lease. Callers choose it, random and 63 bits wide; 0 is none.
type LeaseID uint64

// Leases keeps rows alive. A lease that is not kept alive expires no earlier
// than its TTL by the leader's monotonic clock; its rows disappear in one
// revision. A change of leader may prolong it once, by its full TTL.
type Leases interface {
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// KeepAlive returns what each lease has left; 0 for one that is gone.
	KeepAlive(ctx context.Context, ids []LeaseID) ([]time.Duration, error)
	Revoke(ctx context.Context, ids []LeaseID) error
}
