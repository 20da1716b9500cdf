package raftnode

import "sync"

// queue holds proposals until the loop takes them, all at once: a wake-up of the
// loop for each would cost more than the proposal.
type queue struct {
	ready chan struct{} // capacity 1: as many wait as the loop wants

	mu      sync.Mutex // guards what follows
	waiting []*proposal
	wanted  int // how many are worth waking the loop
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1), wanted: 1} }

// put adds a proposal; false when too many wait (ENG-03).
func (q *queue) put(p *proposal) bool {
	q.mu.Lock()
	n := len(q.waiting)
	if n >= queueLength {
		q.mu.Unlock()
		return false
	}
	q.waiting = append(q.waiting, p)
	due := n+1 == q.wanted
	q.mu.Unlock()
	if due {
		q.wake()
	}
	return true
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default: // it will look anyway
	}
}

// take returns everybody who waits. The queue goes on in spare, which is empty.
func (q *queue) take(spare []*proposal) []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	round := q.waiting
	q.waiting = spare
	return round
}

// want says how many are worth a wake-up from now on, and wakes at once when so
// many wait.
func (q *queue) want(n int) {
	q.mu.Lock()
	q.wanted = n
	due := len(q.waiting) >= n
	q.mu.Unlock()
	if due {
		q.wake()
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
