package rpc

import (
	"context"
	"runtime/debug"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/plugin"
)

// detached is a stream that goes on without a goroutine of its handler.
type detached struct {
	receiver plugin.Receiver // nil: it has its handler
	telling  bool            // somebody is in the receiver
	listed   bool            // in the list of those to be told
	starved  bool            // Send said that it is to wait
	free     bool            // and what it waited for has come
	over     bool            // the receiver knows the end
}

var (
	_ plugin.Detacher = (*stream)(nil)
	_ plugin.Detached = (*stream)(nil)
)

// Detach implements plugin.Detacher.
func (s *stream) Detach(r plugin.Receiver) plugin.Detached {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.receiver = r
	return s
}

// Send implements plugin.Detached.
func (s *stream) Send(m any) (more bool, err error) {
	parts, err := s.encode(m)
	if err != nil {
		return false, err
	}
	c := s.conn
	c.mu.Lock()
	if s.gone || s.ending {
		c.mu.Unlock()
		return false, s.finishedError()
	}
	s.out.add(parts)
	c.calm.earn()
	s.queue()
	c.pump()
	more = s.out.total < sendLimit
	s.starved = !more
	c.flush()
	return more, nil
}

// End implements plugin.Detached.
func (s *stream) End(err error) {
	c := s.conn
	c.mu.Lock()
	s.end(statusOf(err))
	c.list(s)
	c.flush()
	c.tellAll()
}

// list has the receiver of a stream told; the lock is held.
func (c *conn) list(s *stream) {
	if s.receiver != nil && !s.listed {
		s.listed = true
		c.told = append(c.told, s)
	}
}

// tellAll tells those who are listed; the lock is not held.
func (c *conn) tellAll() {
	for {
		c.mu.Lock()
		n := len(c.told) - 1
		if n < 0 {
			c.mu.Unlock()
			return
		}
		s := c.told[n]
		c.told[n] = nil
		c.told = c.told[:n]
		s.listed = false
		c.mu.Unlock()
		s.tell()
	}
}

// tell calls the receiver for all that it does not know, one call at a time and
// never before its handler has returned.
func (s *stream) tell() {
	c := s.conn
	c.mu.Lock()
	if s.telling || s.running || s.receiver == nil {
		c.mu.Unlock()
		return
	}
	s.telling = true
	for {
		switch {
		case len(s.inbox) > 0 && !s.ending && !s.gone:
			b := s.pop()
			c.mu.Unlock()
			s.guard(func() error { return s.receiver.Receive(func(m any) error { return s.decode(b, m) }) })
		case s.free:
			s.free = false
			c.mu.Unlock()
			s.guard(func() error { s.receiver.Writable(); return nil })
		case (s.closed || s.gone || s.ending || s.failure != nil) && !s.over:
			s.over = true
			c.mu.Unlock()
			s.guard(func() error { s.receiver.Over(); return nil })
			s.call.cancel(context.Canceled)
		default:
			s.telling = false
			c.flush()
			return
		}
		c.mu.Lock()
	}
}

// guard ends the stream when the receiver fails or panics.
func (s *stream) guard(call func() error) {
	defer func() {
		if p := recover(); p != nil {
			s.conn.server.logger.Error("receiver panicked", zap.String("route", s.method.path),
				zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			s.fail(status.New(codes.Internal, "internal error"))
		}
	}()
	if err := call(); err != nil {
		s.fail(statusOf(err))
	}
}

func (s *stream) fail(st *status.Status) {
	s.conn.mu.Lock()
	s.end(st)
	s.conn.flush()
}
