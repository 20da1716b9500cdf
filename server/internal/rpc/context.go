package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// callContext is the context of a call. It makes its channel and its timer when
// somebody asks for them.
type callContext struct {
	stream   *stream
	deadline time.Time // zero: none

	mu    sync.Mutex // guards what follows
	done  chan struct{}
	err   error
	timer *time.Timer
	after map[*func()]struct{}
}

var _ context.Context = (*callContext)(nil)

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
		c.arm()
	}
	return c.done
}

// arm lets the deadline end the context; mu is held.
func (c *callContext) arm() {
	if c.err == nil && c.timer == nil && !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
}

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.cancel(context.DeadlineExceeded)
		return c.Err()
	}
	return err
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	s := c.stream
	switch key {
	case s.conn.server.keys.metadata:
		return s.request.incoming()
	case s.conn.server.keys.peer:
		return s.conn.peer
	case s.conn.server.keys.stream:
		return grpc.ServerTransportStream(transportStream{s})
	}
	return s.conn.ctx.Value(key)
}

// AfterFunc is what context.AfterFunc and derived contexts use, so that they need
// no goroutine.
func (c *callContext) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f() // as package context does
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[*func()]struct{}{}
	}
	key := &f
	c.after[key] = struct{}{}
	c.arm()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waits := c.after[key]
		delete(c.after, key)
		return waits
	}
}

// cancel ends the context; the first reason counts.
func (c *callContext) cancel(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = why
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}
