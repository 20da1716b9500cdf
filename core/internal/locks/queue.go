package locks

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// queues holds those who wait on this member, by the key of their lock. Only the
// first of a queue looks at the lock: when it comes to be the first, when the row
// has changed, and when the holder's time is over.
type queues struct {
	mu      sync.Mutex // guards the rest, and every queue
	byLock  map[string]*queue
	waiting int
}

type queue = list.List // of *waiter

// waiter is one request in a queue.
type waiter struct {
	key   string
	place *list.Element
	turn  chan struct{} // capacity 1: to look again is enough, however often it is said
}

func (w *waiter) wake() {
	select {
	case w.turn <- struct{}{}:
	default:
	}
}

// join puts a waiter at the end of the queue of a lock. End it with leave.
func (q *queues) join(key []byte) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting >= lock.MaxWaiters {
		return nil, fmt.Errorf("%d requests wait for locks: %w", q.waiting, kv.ErrOverloaded)
	}
	w := &waiter{key: string(key), turn: make(chan struct{}, 1)}
	line := q.byLock[w.key]
	if line == nil {
		line = list.New()
		q.byLock[w.key] = line
		w.wake()
	}
	w.place = line.PushBack(w)
	q.waiting++
	return w, nil
}

func (q *queues) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.byLock[w.key]
	first := line.Front() == w.place
	line.Remove(w.place)
	q.waiting--
	switch {
	case line.Len() == 0:
		delete(q.byLock, w.key)
	case first:
		wakeFirst(line)
	}
}

// changed wakes the first who waits for a lock.
func (q *queues) changed(key []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if line := q.byLock[string(key)]; line != nil {
		wakeFirst(line)
	}
}

// all wakes the first of every queue.
func (q *queues) all() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range q.byLock {
		wakeFirst(line)
	}
}

func (q *queues) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

func wakeFirst(line *queue) {
	if w, ok := line.Front().Value.(*waiter); ok {
		w.wake()
	}
}

// wait queues for a lock.
func (e *Engine) wait(ctx context.Context, c *claim) (verdict, error) {
	w, err := e.queues.join(c.key)
	if err != nil {
		e.meters.refused.Inc()
		return verdict{}, err
	}
	defer e.queues.leave(w)
	last := time.NewTimer(c.Wait)
	defer last.Stop()
	over := time.NewTimer(c.Wait) // when the holder's time is over
	over.Stop()
	defer over.Stop()
	for {
		select {
		case <-w.turn:
		case <-over.C:
		case <-last.C:
			// It may be free by now: an answer that it is not must be true.
			return e.try(ctx, c)
		case <-ctx.Done():
			return verdict{}, ctx.Err()
		case <-e.stop:
			return verdict{}, kv.ErrClosed
		case <-e.failed:
			return verdict{}, kv.ErrNoLeader
		}
		v, err := e.try(ctx, c)
		if err != nil || v.got {
			return v, err
		}
		over.Stop()
		if v.keep {
			over.Reset(v.left)
		}
	}
}
