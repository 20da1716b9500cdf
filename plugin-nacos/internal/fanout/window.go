package fanout

import "time"

// The bounds of the adaptive window (ENG-11).
const (
	shortest = 50 * time.Millisecond
	longest  = 500 * time.Millisecond
)

// window says when the changes of one service are pushed: at once after a quiet
// time, later the more of them there are, at least twice a second.
type window struct {
	last time.Time     // when it was pushed
	wait time.Duration // after last, at present
}

// due is when a change at a moment is pushed.
func (w *window) due(now time.Time, fixed time.Duration) time.Time {
	if fixed > 0 {
		return now.Add(fixed)
	}
	if now.Sub(w.last) >= longest {
		w.wait = 0
		return now
	}
	w.wait = min(max(2*w.wait, shortest), longest)
	if at := w.last.Add(w.wait); at.After(now) {
		return at
	}
	return now
}

// pushed notes a push.
func (w *window) pushed(now time.Time) { w.last = now }
