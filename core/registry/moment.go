package registry

import (
	"sync/atomic"
	"time"
)

// Clock tells the time in Unix milliseconds. It never steps back, whatever happens
// to that of the machine, and follows those of other members that are ahead. The
// zero value is ready.
type Clock struct{ ahead atomic.Int64 } // of the time since began

// began is when the time of clocks begins to pass.
var began = time.Now() //nolint:gochecknoglobals // a constant of the process

// MaxSkew is how far another clock may be ahead and still be followed: beyond, it is
// wrong.
const MaxSkew = time.Minute

// Now is the present time.
func (c *Clock) Now() int64 {
	now := time.Now()
	return c.at(now.Sub(began).Milliseconds(), now.UnixMilli())
}

// at is the time when so much has passed and the machine says this.
func (c *Clock) at(passed, wall int64) int64 {
	for {
		ahead := c.ahead.Load()
		if wall-passed <= ahead || c.ahead.CompareAndSwap(ahead, wall-passed) {
			return passed + max(ahead, wall-passed)
		}
	}
}

// Follow makes this clock not be behind what another member told. It says whether it
// could be believed.
func (c *Clock) Follow(told int64) bool {
	now := time.Now()
	if told-now.UnixMilli() > MaxSkew.Milliseconds() {
		return false
	}
	c.at(now.Sub(began).Milliseconds(), told)
	return true
}

// maxLead is how far in milliseconds the time told of a service may run ahead of the
// clock, when there are more than a thousand states of it in a second. A process that
// starts again is not there sooner.
const maxLead = 100

// Moment is the time that clients are told with a snapshot, by which they order what
// they are told of a service. It is the present time while the snapshot is the newest
// and stands still from then on; it is later than all that was told with older ones,
// as far as maxLead allows, and never earlier. The zero value tells the time of the
// machine.
type Moment struct {
	clock *Clock
	state atomic.Int64 // the time last told, or the earliest; negative: it stands still
}

// Begin sets a moment that is later than a time.
func (m *Moment) Begin(c *Clock, after int64) {
	m.clock = c
	if after < c.Now()+maxLead {
		after++
	}
	m.state.Store(after)
}

// Tell returns the time to tell now.
func (m *Moment) Tell() int64 {
	if m.clock == nil {
		return time.Now().UnixMilli()
	}
	for {
		last := m.state.Load()
		if last < 0 {
			return -last
		}
		now := max(last, m.clock.Now())
		if now == last || m.state.CompareAndSwap(last, now) {
			return now
		}
	}
}

// End says that a newer snapshot is about to be there, which begins after what it
// returns.
func (m *Moment) End() int64 {
	for {
		last := m.state.Load()
		if last < 0 || m.state.CompareAndSwap(last, -last) {
			return max(last, -last)
		}
	}
}
