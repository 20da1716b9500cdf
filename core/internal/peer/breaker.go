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
	mu     sync.Mutex              // guards what follows
	fails  [breakerFails]time.Time // the last ones, the oldest at next
	next   int
	pause  time.Duration // 0: closed
	until  time.Time     // open
	trying bool          // a call is on trial
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

// pass is the leave of one call to go.
type pass uint8

const (
	stop  pass = iota // it may not
	free              // it may
	trial             // it may, to see
)

// allow says whether a call may go; if so, done must be called with its outcome.
func (b *breaker) allow(now time.Time) pass {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause == 0 {
		return free
	}
	if now.Before(b.until) || b.trying {
		return stop
	}
	b.trying = true
	return trial
}

// done notes the outcome of a call that was let through, and says whether that
// has opened or closed the breaker. Of one that is open only its trial counts:
// calls that went before may end at any time.
func (b *breaker) done(now time.Time, p pass, ok bool) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p == trial && ok:
		b.trying, b.pause, b.fails = false, 0, [breakerFails]time.Time{}
		return true
	case p == trial:
		b.trying = false
		b.pause = min(2*b.pause, breakerLast)
		b.until = now.Add(b.pause)
		return false
	case b.pause != 0:
		return false
	case ok:
		b.fails = [breakerFails]time.Time{}
		return false
	}
	b.fails[b.next] = now
	b.next = (b.next + 1) % breakerFails
	if oldest := b.fails[b.next]; oldest.IsZero() || now.Sub(oldest) > breakerWindow {
		return false
	}
	b.pause = breakerFirst
	b.until = now.Add(b.pause)
	return true
}

// back lets the next call try at once: the member answers pings again, after a
// silence that may have made the pause long.
func (b *breaker) back(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause != 0 {
		b.pause, b.until = breakerFirst, now
	}
}
