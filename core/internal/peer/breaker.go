package peer

import (
	"sync"
	"time"
)

// The breaker of a member (ARC-R13): open after so many failed calls within the
// window, then one call at a time is tried, after pauses that double.
const (
	breakerFails  = 5
	breakerWindow = 10 * time.Second
	breakerFirst  = time.Second
	breakerLast   = 30 * time.Second
)

// Breaker is the state of a breaker.
type Breaker uint8

const (
	// Closed lets calls through.
	Closed Breaker = iota
	// HalfOpen lets one call through, to see.
	HalfOpen
	// Open lets none through.
	Open
)

// String implements fmt.Stringer.
func (b Breaker) String() string {
	switch b {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return "unknown"
}

// breaker guards the calls to one member. Raft does not pass through it.
type breaker struct {
	mu    sync.Mutex              // guards what follows
	fails [breakerFails]time.Time // the last ones, the oldest at next
	next  int
	pause time.Duration // 0: closed
	until time.Time     // open
	trial bool          // a call is trying
}

// state says what a call would meet.
func (b *breaker) state(now time.Time) Breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.pause == 0:
		return Closed
	case now.Before(b.until):
		return Open
	}
	return HalfOpen
}

// allow says whether a call may go; if so, done must be called with its outcome.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause == 0 {
		return true
	}
	if now.Before(b.until) || b.trial {
		return false
	}
	b.trial = true
	return true
}

// done notes the outcome of a call that was let through.
func (b *breaker) done(now time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	trial := b.trial
	b.trial = false
	if ok {
		b.pause, b.fails = 0, [breakerFails]time.Time{}
		return
	}
	if trial {
		b.pause = min(2*b.pause, breakerLast)
		b.until = now.Add(b.pause)
		return
	}
	b.fails[b.next] = now
	b.next = (b.next + 1) % breakerFails
	if oldest := b.fails[b.next]; b.pause == 0 && !oldest.IsZero() && now.Sub(oldest) <= breakerWindow {
		b.pause = breakerFirst
		b.until = now.Add(b.pause)
	}
}
