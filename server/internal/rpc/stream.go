package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stream is one call. Its fields are guarded by the lock of the connection, but
// for those that never change and the context.
type stream struct {
	conn    *conn
	id      uint32
	request *request
	method  *method
	call    callContext

	running bool // its handler
	gone    bool // it is open no more

	// What comes.
	closed   bool // the client has said everything
	received int64
	owed     int64
	length   int64 // of the body so far
	prefix   [prefixSize]byte
	head     int // bytes of the prefix; 0: between messages
	want     int
	body     []byte
	complete bool // body is the message of a unary call
	inbox    [][]byte
	queued   int // bytes in inbox
	holds    int
	failure  *status.Status
	came     chan struct{} // capacity 1: something changed above; nil: nobody waits

	detached

	// What goes.
	window   int64
	out      outgoing
	waiting  bool // in sendq, or stuck
	stuck    bool // without a window
	headed   bool // the head was sent
	ending   bool // nothing is added any more
	plain    bool // no gRPC
	accepts  bool // tells what compression there is
	progress int64
	header   metadata.MD
	trailer  metadata.MD
	status   *status.Status
	code     string        // of HTTP, when plain
	went     chan struct{} // capacity 1: out has become empty; nil: nobody waits
}

const (
	prefixSize = 5
	// overhead is what a message costs beside its bytes.
	overhead = 64
	// sendLimit is how much a stream may queue before its handler waits.
	sendLimit = 64 << 10
	// firstRoom is the memory that a message gets at first: more comes with its bytes.
	firstRoom = 16 << 10
)

var (
	errGone      = errors.New("connection closed")
	errCancelled = errors.New("call cancelled by the client")
)

// outgoing is the messages that wait to be sent.
type outgoing struct {
	prefix [prefixSize]byte
	said   int // of prefix
	parts  mem.BufferSlice
	taken  int // of parts[0]
	left   int // of the first message, with its prefix
	next   []mem.BufferSlice
	total  int // of all
}

func (o *outgoing) add(parts mem.BufferSlice) {
	o.total += prefixSize + parts.Len()
	if o.left > 0 {
		o.next = append(o.next, parts)
		return
	}
	o.start(parts)
}

func (o *outgoing) start(parts mem.BufferSlice) {
	n := parts.Len()
	o.prefix = [prefixSize]byte{}
	binary.BigEndian.PutUint32(o.prefix[1:], uint32(n))
	o.said, o.parts, o.taken, o.left = 0, parts, 0, prefixSize+n
}

// load goes on to the next message.
func (o *outgoing) load() bool {
	if len(o.next) == 0 {
		o.parts, o.total = nil, 0
		return false
	}
	parts := o.next[0]
	if o.next = o.next[1:]; len(o.next) == 0 {
		o.next = nil
	}
	o.start(parts)
	return true
}

// assemble adds bytes to the message that is coming; a status fails the call. The
// lock is held.
func (s *stream) assemble(data []byte) *status.Status {
	for len(data) > 0 {
		if s.head < prefixSize {
			n := copy(s.prefix[s.head:], data)
			s.head += n
			data = data[n:]
			if s.head < prefixSize {
				return nil
			}
			if why := s.expect(); why != nil {
				return why
			}
		}
		n := min(len(data), s.want-len(s.body))
		if s.conn.held+n > maxHeld {
			return status.New(codes.ResourceExhausted, "too many bytes of unfinished messages on one connection")
		}
		if len(s.body)+n > cap(s.body) {
			room := min(s.want, max(2*cap(s.body), firstRoom, len(s.body)+n))
			s.body = append(make([]byte, 0, room), s.body...)
		}
		s.body = append(s.body, data[:n]...)
		s.hold(n)
		data = data[n:]
		if len(s.body) == s.want {
			s.deliver()
		}
	}
	return nil
}

// expect looks at the prefix of a message.
func (s *stream) expect() *status.Status {
	limit := s.method.options.MaxReceive
	size := binary.BigEndian.Uint32(s.prefix[1:])
	switch {
	case s.prefix[0] != 0:
		return status.New(codes.Internal, "compressed message without grpc-encoding")
	case int64(size) > int64(limit):
		return status.New(codes.ResourceExhausted, fmt.Sprintf("message of %d bytes, at most %d are taken", size, limit))
	case s.complete:
		return status.New(codes.Internal, "more than one message in a unary call")
	}
	s.want, s.body = int(size), nil
	return nil
}

func (s *stream) hold(n int) {
	s.holds += n
	s.conn.held += n
}

// deliver hands a whole message over.
func (s *stream) deliver() {
	s.head = 0
	if s.method.unary != nil {
		s.complete = true
		return
	}
	s.hold(overhead)
	s.queued += len(s.body) + overhead
	s.inbox = append(s.inbox, s.body)
	s.body = nil
	s.arrived()
}

// arrived wakes the handler.
func (s *stream) arrived() {
	signal(s.came)
	s.conn.list(s)
}

// writable wakes the handler.
func (s *stream) writable() {
	signal(s.went)
	if s.starved {
		s.starved, s.free = false, true
		s.conn.list(s)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // nobody waits, or it was woken already
	}
}

// credit gives window back, unless messages wait to be taken; the lock is held.
func (s *stream) credit() {
	c := s.conn
	if s.owed < streamWindow/4 || s.closed || s.queued > streamWindow {
		return
	}
	c.keep(appendWindow(c.buf(), s.id, s.owed))
	s.received, s.owed = s.received+s.owed, 0
}

// lost tells the handler that the call is over.
func (s *stream) lost(error) {
	s.call.cancel(context.Canceled)
	s.conn.mu.Lock()
	s.arrived()
	s.writable()
	s.conn.flush()
}

// Context implements grpc.ServerStream.
func (s *stream) Context() context.Context { return &s.call }

// RecvMsg implements grpc.ServerStream.
func (s *stream) RecvMsg(m any) error {
	c := s.conn
	for {
		c.mu.Lock()
		if len(s.inbox) > 0 {
			return s.takeMessage(m)
		}
		if s.came == nil {
			s.came = make(chan struct{}, 1)
		}
		failure, gone, closed := s.failure, s.gone, s.closed
		c.mu.Unlock()
		switch {
		case failure != nil:
			return failure.Err()
		case gone:
			return s.finishedError()
		case closed:
			return io.EOF
		}
		select {
		case <-s.came:
		case <-s.call.Done():
			return s.finishedError()
		}
	}
}

// finishedError is why nothing more comes or goes.
func (s *stream) finishedError() error {
	if err := s.call.Err(); err != nil {
		return status.FromContextError(err).Err() //nolint:wrapcheck // what handlers expect
	}
	return status.Error(codes.Canceled, "call is over")
}

// takeMessage reads the first message; the lock is held, and is not afterwards.
func (s *stream) takeMessage(m any) error {
	b := s.pop()
	s.conn.flush()
	return s.decode(b, m)
}

// pop takes the first message; the lock is held.
func (s *stream) pop() []byte {
	b := s.inbox[0]
	s.inbox[0] = nil
	if s.inbox = s.inbox[1:]; len(s.inbox) == 0 {
		s.inbox = nil
	}
	n := len(b) + overhead
	s.queued -= n
	if !s.gone {
		s.hold(-n)
		s.credit()
	}
	return b
}

func (s *stream) decode(b []byte, m any) error {
	if err := s.method.options.Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m); err != nil {
		return status.Errorf(codes.Internal, "unmarshal the request: %v", err)
	}
	return nil
}

func (s *stream) encode(m any) (mem.BufferSlice, error) {
	parts, err := s.method.options.Codec.Marshal(m)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "marshal the answer: %v", err)
	}
	limit := s.method.options.MaxSend
	if limit == 0 {
		limit = math.MaxInt32
	}
	if n := parts.Len(); n > limit {
		return nil, status.Errorf(codes.ResourceExhausted, "answer of %d bytes, at most %d are sent", n, limit)
	}
	return parts, nil
}

// SendMsg implements grpc.ServerStream. It waits for a client that takes nothing.
func (s *stream) SendMsg(m any) error {
	parts, err := s.encode(m)
	if err != nil {
		return err
	}
	c := s.conn
	for {
		c.mu.Lock()
		switch {
		case s.gone || s.ending:
			c.mu.Unlock()
			return s.finishedError()
		case s.out.total < sendLimit:
			s.out.add(parts)
			c.calm.earn()
			s.queue()
			c.flush()
			return nil
		}
		if s.went == nil {
			s.went = make(chan struct{}, 1)
		}
		c.mu.Unlock()
		select {
		case <-s.went:
		case <-s.call.Done():
			return s.finishedError()
		}
	}
}

// queue has the stream sent; the lock is held.
func (s *stream) queue() {
	if !s.waiting && !s.gone {
		s.waiting = true
		s.conn.sendq = append(s.conn.sendq, s)
	}
}

// end ends the call with a status, after what was queued; the lock is held.
func (s *stream) end(st *status.Status) {
	if s.ending || s.gone {
		return
	}
	s.ending, s.status = true, st
	s.progress = s.conn.server.clock.Load()
	s.queue()
}

// answerPlain answers what is not gRPC; the lock is held.
func (s *stream) answerPlain() {
	text := "this port speaks gRPC\n"
	if s.code = "415"; s.request.method != "POST" {
		s.code = "405"
	}
	s.out.add(mem.BufferSlice{mem.SliceBuffer(text)})
	s.out.said, s.out.left = prefixSize, len(text)
	s.end(nil)
}

// SetHeader implements grpc.ServerStream.
func (s *stream) SetHeader(md metadata.MD) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.headed {
		return status.Error(codes.Internal, "header was sent already")
	}
	s.header = metadata.Join(s.header, md)
	return nil
}

// SendHeader implements grpc.ServerStream.
func (s *stream) SendHeader(md metadata.MD) error {
	if err := s.SetHeader(md); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	if !s.headed && !s.gone {
		s.headed = true
		c.head(s)
	}
	c.flush()
	return nil
}

// SetTrailer implements grpc.ServerStream.
func (s *stream) SetTrailer(md metadata.MD) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.trailer = metadata.Join(s.trailer, md)
}

var _ grpc.ServerStream = (*stream)(nil)

// transportStream is what package grpc sets headers and trailers by.
type transportStream struct{ s *stream }

var _ grpc.ServerTransportStream = transportStream{}

func (t transportStream) Method() string                  { return t.s.method.path }
func (t transportStream) SetHeader(md metadata.MD) error  { return t.s.SetHeader(md) }
func (t transportStream) SendHeader(md metadata.MD) error { return t.s.SendHeader(md) }

func (t transportStream) SetTrailer(md metadata.MD) error {
	t.s.SetTrailer(md)
	return nil
}
