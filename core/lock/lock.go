// Package lock is the contract of distributed locks with fencing tokens.
//
// A lock is a row with a lease: it ends when it is released, or when its time is
// over by the leader's monotonic clock, never earlier. A change of leader may
// prolong it once. Who holds a lock shows its token to whatever the lock guards,
// and that refuses smaller ones: so a holder that was away too long does no harm.
package lock

import (
	"context"
	"time"
)

// Limits of one lock; beyond them calls return kv.ErrTooLarge.
const (
	MaxName = 512            // bytes of space, name and owner each
	MaxTTL  = 24 * time.Hour // and at least a millisecond
)

// Request asks for a lock. (Space, Name) is its identity; a plugin has spaces of
// its own.
type Request struct {
	Space, Name string
	Owner       string // empty: anybody may release it
	TTL         time.Duration
	Wait        time.Duration // how long to queue for it; 0: answer at once
}

// Held is a lock that somebody has.
type Held struct {
	Space, Name, Owner string
	// Token is the revision of the acquisition: it grows with every new holder.
	Token uint64
	// Remaining is what the lease had left when this was answered, as this member
	// knows; 0 when another member keeps the clock.
	Remaining time.Duration
}

// Locks acquires and releases. A lock is not re-entrant: whoever asks again is
// refused like everybody else.
type Locks interface {
	// Acquire returns false when the lock is taken and stays so for Wait. Those
	// who wait get it in the order of their requests on one member.
	Acquire(ctx context.Context, r Request) (Held, bool, error)
	// Extend gives a holder its full ttl anew; false when it holds no more.
	Extend(ctx context.Context, h Held, ttl time.Duration) (bool, error)
	// Release ends a lock; false when it was not held. With a Token only that
	// acquisition is ended, and a lock with an owner only for that owner.
	Release(ctx context.Context, h Held) (bool, error)
	// Holders lists what is held in a space, by name.
	Holders(ctx context.Context, space, prefix string, limit int) ([]Held, error)
}
