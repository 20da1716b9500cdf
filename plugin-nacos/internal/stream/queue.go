package stream

import (
	"container/heap"
	"time"
)

// Push is a message that the client must acknowledge.
type Push struct {
	// Key makes pushes one: of those with the same key at most one is on its way.
	Key any
	// Type is the class of the message.
	Type string
	// Rest is the JSON of the message without the brace it begins with and without
	// its request id, which is put before it. It is shared and never changed.
	Rest []byte
	// Timeout is how long one acknowledgement may take.
	Timeout time.Duration
	// Retries is how often it is sent again before the connection is ended;
	// Forever is without end.
	Retries int
	// Backoff is the pause before attempt n+1, after n failed ones.
	Backoff func(n int) time.Duration
}

// Forever is the number of retries of a push that is repeated until it is
// acknowledged or withdrawn.
const Forever = -1

// state of a push on its way.
type state uint8

const (
	ready   state = iota // to be sent at due
	sent                 // the ack is missing until due
	pausing              // sent again at due
)

// flight is a push on its way.
type flight struct {
	Push
	state  state
	due    time.Time
	id     uint64 // of the last attempt
	failed int    // attempts
	again  bool   // pushed once more while it was on its way
	index  int    // in the heap
}

// queue holds the flights of one connection, the next due first.
type queue struct {
	heap  flights
	byKey map[any]*flight
	byID  map[uint64]*flight
	// control are messages without acknowledgement, sent first.
	control []*message
}

// push adds a push, or takes the place of the one that is on its way: the newest
// is what is sent next (NAC-SET-07, ENG-09).
func (q *queue) push(p Push, now time.Time) {
	if f := q.byKey[p.Key]; f != nil {
		f.Push = p
		switch f.state {
		case ready:
		case sent:
			f.again = true
		case pausing:
			f.due = now
			heap.Fix(&q.heap, f.index)
		}
		return
	}
	if q.byKey == nil {
		q.byKey, q.byID = map[any]*flight{}, map[uint64]*flight{}
	}
	f := &flight{Push: p, due: now}
	q.byKey[p.Key] = f
	heap.Push(&q.heap, f)
}

// next puts what to write now into out; else it returns how long to wait for it,
// 0 for ever, or that the client has not answered for too long.
func (q *queue) next(now time.Time, nextID func() uint64, out *message) (found bool, wait time.Duration, exhausted bool) {
	if len(q.control) > 0 {
		*out, q.control = *q.control[0], q.control[1:]
		return true, 0, false
	}
	for len(q.heap) > 0 {
		f := q.heap[0]
		if d := f.due.Sub(now); d > 0 {
			return false, d, false
		}
		if f.state == sent {
			if !q.fail(f, now) {
				return false, 0, true
			}
			continue
		}
		f.id = nextID()
		q.byID[f.id] = f
		f.state, f.due = sent, now.Add(f.Timeout)
		heap.Fix(&q.heap, 0)
		out.kind, out.request, out.parts = f.Type, f.id, [3][]byte{f.Rest}
		return true, 0, false
	}
	return false, 0, false
}

// wait says whether something is due, else when it will be, 0 for never.
func (q *queue) wait(now time.Time) (time.Duration, bool) {
	if len(q.control) > 0 {
		return 0, true
	}
	if len(q.heap) == 0 {
		return 0, false
	}
	d := q.heap[0].due.Sub(now)
	return d, d <= 0
}

// withdraw forgets the flight of a key; an acknowledgement of it settles nothing.
func (q *queue) withdraw(key any) {
	if f := q.byKey[key]; f != nil {
		q.remove(f)
	}
}

func (q *queue) remove(f *flight) {
	delete(q.byID, f.id)
	delete(q.byKey, f.Key)
	heap.Remove(&q.heap, f.index)
}

// fail ends one attempt; false means that it was the last one.
func (q *queue) fail(f *flight, now time.Time) bool {
	delete(q.byID, f.id)
	f.failed++
	if f.Retries != Forever && f.failed > f.Retries {
		return false
	}
	f.state, f.again = pausing, false
	f.due = now.Add(f.Backoff(f.failed))
	heap.Fix(&q.heap, f.index)
	return true
}

// settle ends the flight whose attempt has an id. It says whether there was one,
// and whether the connection has used up its attempts.
func (q *queue) settle(id uint64, ok bool, now time.Time) (found, exhausted bool) {
	f := q.byID[id]
	if f == nil {
		return false, false
	}
	if !ok {
		return true, !q.fail(f, now)
	}
	delete(q.byID, id)
	if f.again {
		f.state, f.due, f.again, f.failed = ready, now, false, 0
		heap.Fix(&q.heap, f.index)
		return true, false
	}
	q.remove(f)
	return true, false
}

// oldest returns the id of the flight of a type that waits longest for its ack,
// 0 when none does.
func (q *queue) oldest(kind string) (id uint64) {
	for _, f := range q.heap {
		if f.state == sent && f.Type == kind && (id == 0 || f.id < id) {
			id = f.id
		}
	}
	return id
}

// flights is a heap by due time.
type flights []*flight

func (h flights) Len() int           { return len(h) }
func (h flights) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h flights) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *flights) Push(x any) {
	f := x.(*flight) //nolint:forcetypeassert // the heap holds nothing else
	f.index = len(*h)
	*h = append(*h, f)
}

func (h *flights) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return f
}
