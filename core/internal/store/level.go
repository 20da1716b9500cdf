package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// level is a number that only rises, and those who wait for it.
type level struct {
	now atomic.Uint64

	mu      sync.Mutex // guards what follows
	err     error
	waiting []*waiter
}

type waiter struct {
	want uint64
	done chan struct{}
}

// raise wakes those who wait for v or less.
func (l *level) raise(v uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v <= l.now.Load() {
		return
	}
	l.now.Store(v)
	l.waiting = slices.DeleteFunc(l.waiting, func(w *waiter) bool {
		if w.want > v {
			return false
		}
		close(w.done)
		return true
	})
}

// fail wakes everybody with err, now and from now on; the first error stays.
func (l *level) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	for _, w := range l.waiting {
		close(w.done)
	}
	l.waiting = nil
}

func (l *level) wait(ctx context.Context, want uint64) error {
	if l.now.Load() >= want {
		return nil
	}
	w := &waiter{want: want, done: make(chan struct{})}
	l.mu.Lock()
	switch {
	case l.now.Load() >= want:
		l.mu.Unlock()
		return nil
	case l.err != nil:
		defer l.mu.Unlock()
		return l.err
	}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	return l.leave(ctx, w)
}

// leave settles how a wait ended.
func (l *level) leave(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(x *waiter) bool { return x == w })
	switch {
	case l.now.Load() >= w.want:
		return nil
	case l.err != nil:
		return l.err
	}
	return ctx.Err()
}
