package store

import (
	"sort"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// ring remembers the events of recent revisions, within a number of events and
// of bytes. Positions count revisions since the start and never repeat.
type ring struct {
	maxEvents int
	maxBytes  int64

	slots  []moment // a power of two of them
	first  uint64   // position of the oldest
	end    uint64   // position behind the newest
	events int
	bytes  int64
	floor  kv.Revision // what is not newer is forgotten
}

// moment is one revision with the hot rows it changed.
type moment struct {
	rev    kv.Revision
	bytes  int64
	events []fsm.Change
}

func (r *ring) at(pos uint64) *moment { return &r.slots[pos&uint64(len(r.slots)-1)] }

// reset forgets everything up to rev.
func (r *ring) reset(rev kv.Revision) {
	r.slots = make([]moment, 64)
	r.first, r.events, r.bytes, r.floor = r.end, 0, 0, rev
}

// add remembers a revision and forgets old ones to make room; the newest always
// stays.
func (r *ring) add(m moment) {
	if r.end-r.first == uint64(len(r.slots)) {
		r.grow()
	}
	*r.at(r.end) = m
	r.end++
	r.events += len(m.events)
	r.bytes += m.bytes
	for (r.events > r.maxEvents || r.bytes > r.maxBytes) && r.end-r.first > 1 {
		old := r.at(r.first)
		r.events -= len(old.events)
		r.bytes -= old.bytes
		r.floor = old.rev
		*old = moment{}
		r.first++
	}
}

func (r *ring) grow() {
	slots := make([]moment, 2*len(r.slots))
	for pos := r.first; pos < r.end; pos++ {
		slots[pos&uint64(len(slots)-1)] = *r.at(pos)
	}
	r.slots = slots
}

// after returns the position of the first revision behind rev.
func (r *ring) after(rev kv.Revision) uint64 {
	n := sort.Search(int(r.end-r.first), func(i int) bool { return r.at(r.first+uint64(i)).rev > rev })
	return r.first + uint64(n)
}

// weigh returns the bytes that keeping an event costs. A replaced record counts
// too: the ring may be all that keeps it.
func weigh(c *fsm.Change) int64 {
	const overhead = 200 // of an event and its records, about
	n := overhead + len(c.Abs) + len(c.Record.Value)
	if c.Previous != nil {
		n += len(c.Previous.Value)
	}
	return int64(n)
}
