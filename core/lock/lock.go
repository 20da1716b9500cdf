// Package lock is the contract of distributed locks with fencing tokens.
//
// A lock is a row with a lease: it ends when it is released, or when its time is
// over by the leader's monotonic clock, never earlier. A change of leader, and a
// restart, may prolong it once. No clock keeps a holder that was away for too long
// from acting, so whatever a lock guards is shown the token and refuses smaller
// ones than it has seen.
//
// Invariants that every implementation keeps (the suite is lock/locktest):
//
//   - two who hold a lock at once do not exist, and the calls on one lock are
//     linearizable;
//   - tokens of one lock grow with every new holder, over releases, expiries and
//     restarts;
//   - who was answered an error does not hold the lock. After kv.ErrUncertain
//     core gives back what it may have got, and at the latest the lease ends it.
//
// The package owns no goroutine. Start reading at Locks.
package lock

import (
	"context"
	"time"
)

// Limits of one call; beyond them it returns kv.ErrTooLarge, and nothing was
// proposed.
const (
	MaxSpace = 128 // bytes of a space; a zero byte counts twice
	MaxName  = 512 // bytes of a name, the same, and of an owner
	MinTTL   = time.Millisecond
	MaxTTL   = 24 * time.Hour
)

// Limits of one member; beyond them Acquire returns kv.ErrOverloaded.
const (
	MaxHeld    = 250_000 // locks that are held, of all owners
	MaxWaiters = 10_000  // requests that queue
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
	// Remaining is what the lease had left when this was answered; 0 when that is
	// over or another member keeps the clock. A holder counts its time from before
	// it asked.
	Remaining time.Duration
}

// Locks acquires and releases. A lock is not re-entrant: whoever asks again is
// refused like everybody else. All methods are safe for concurrent use.
type Locks interface {
	// Acquire returns false when the lock is taken and stays so for Wait. Those
	// who wait get it in the order of their requests on one member; who does not
	// wait, or no longer, may come between them.
	Acquire(ctx context.Context, r Request) (Held, bool, error)
	// Extend gives a holder the whole of ttl anew and keeps its token; false when
	// it holds no more. After kv.ErrUncertain the earlier of both ends counts.
	Extend(ctx context.Context, h Held, ttl time.Duration) (bool, error)
	// Release ends a lock; false when it was not held. With a Token only that
	// acquisition is ended, and a lock with an owner only for that owner.
	Release(ctx context.Context, h Held) (bool, error)
	// Holders lists what is held in a space, by name, as kv.Fresh as may be; a
	// limit of 0 is 1,000, and kv.MaxPage is the highest.
	Holders(ctx context.Context, space, prefix string, limit int) ([]Held, error)
}
