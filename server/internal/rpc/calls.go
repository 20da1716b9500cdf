package rpc

import (
	"encoding/binary"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (c *conn) onHeaders(f frame, p []byte) error {
	if f.stream%2 == 0 {
		return &fault{codeProtocol, "stream of a wrong number"}
	}
	p, ok := unpad(f, p)
	if !ok {
		return &fault{codeProtocol, "padding larger than the frame"}
	}
	if f.has(flagPriority) {
		if len(p) < 5 {
			return &fault{codeFrameSize, "HEADERS too short"}
		}
		if binary.BigEndian.Uint32(p)&maxWindow == f.stream {
			return c.resetID(f.stream, codeProtocol)
		}
		p = p[5:]
	}
	if !f.has(flagEndHeaders) {
		c.going, c.block = f, append(c.block[:0], p...)
		return nil
	}
	return c.onBlock(f, p)
}

func (c *conn) onContinuation(f frame, p []byte) error {
	if c.going.stream == 0 {
		return &fault{codeProtocol, "CONTINUATION of nothing"}
	}
	if len(c.block)+len(p) > maxHeaders {
		return &fault{codeCalm, "headers too large"}
	}
	c.mu.Lock()
	err := c.spend("CONTINUATION")
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.block = append(c.block, p...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	head, block := c.going, c.block
	c.going, c.block = frame{}, nil
	return c.onBlock(head, block)
}

// onBlock handles a whole block of headers.
func (c *conn) onBlock(f frame, block []byte) error {
	r, err := c.headers.read(block)
	if err != nil {
		return &fault{codeCompression, "headers that cannot be decoded"}
	}
	c.mu.Lock()
	if f.stream <= c.last {
		defer c.mu.Unlock()
		return c.onTrailers(f)
	}
	c.last = f.stream
	if c.leaving == refusing {
		c.mu.Unlock()
		return nil // the client was told that it is not served
	}
	if r.fault != "" || len(c.streams)+c.orphans >= maxStreams {
		defer c.mu.Unlock()
		why := codeRefused
		if r.fault != "" {
			why = codeProtocol
		}
		if err := c.spend("refused streams"); err != nil {
			return err
		}
		return c.control(appendReset(c.buf(), f.stream, why))
	}
	s := c.open(f, r)
	start := s.begin()
	if start {
		s.running = true
	}
	c.mu.Unlock()
	if start {
		c.answered = s.method.unary != nil
		c.server.workers.run(s)
	}
	return nil
}

// onTrailers handles headers behind a request; mu is held. Calls have none, so what
// they say is ignored.
func (c *conn) onTrailers(f frame) error {
	s := c.find(f.stream)
	switch {
	case s == nil || s.closed:
		return &fault{codeStreamClosed, "headers of a stream that is closed"}
	case !f.has(flagEndStream):
		return &fault{codeProtocol, "trailers do not end the stream"}
	}
	return c.over(s)
}

// open makes a stream; mu is held.
func (c *conn) open(f frame, r *request) *stream {
	s := &stream{conn: c, id: f.stream, request: r, window: c.initial, received: streamWindow, closed: f.has(flagEndStream)}
	s.progress = c.server.clock.Load()
	s.call.stream = s
	c.streams = append(c.streams, s)
	return s
}

func (c *conn) find(id uint32) *stream {
	for _, s := range c.streams {
		if s.id == id {
			return s
		}
	}
	return nil
}

// remove takes a stream out; mu is held.
func (c *conn) remove(s *stream) {
	for i, other := range c.streams {
		if other != s {
			continue
		}
		last := len(c.streams) - 1
		c.streams[i], c.streams[last] = c.streams[last], nil
		c.streams = c.streams[:last]
		if last == 0 {
			c.idle = c.server.clock.Load()
		}
		c.orphan(s)
		break
	}
	for i, other := range c.sendq {
		if other == s {
			c.sendq = append(c.sendq[:i], c.sendq[i+1:]...)
			break
		}
	}
}

// orphan notes that a stream is gone; its handler may run on. mu is held.
func (c *conn) orphan(s *stream) {
	s.gone = true
	c.held -= s.holds
	s.holds, s.out = 0, outgoing{}
	if s.running {
		c.orphans++
	}
}

// begin looks at the request; true: its handler runs now. Otherwise it was
// answered, or runs when the whole message is there. mu is held.
func (s *stream) begin() bool {
	r, srv := s.request, s.conn.server
	switch {
	case r.tooLarge:
		s.refuse(codes.ResourceExhausted, "header list too large")
	case r.method != "POST" || !isGRPC(r.content):
		if s.plain = true; s.closed {
			s.answerPlain()
		}
	default:
		if r.timeout != "" {
			d, ok := parseTimeout(r.timeout)
			if !ok {
				s.refuse(codes.Internal, "malformed grpc-timeout")
				return false
			}
			s.call.deadline = time.Now().Add(d)
		}
		if s.method = srv.methods[r.path]; s.method == nil {
			s.refuse(codes.Unimplemented, unknown(srv, r.path))
			return false
		}
		if r.encoding != "" && r.encoding != "identity" {
			s.accepts = true
			s.refuse(codes.Unimplemented, "compression "+r.encoding+" is not supported")
			return false
		}
		switch {
		case s.closed && r.length > 0:
			s.refuse(codes.Internal, "content-length of nothing")
		case s.closed:
			return s.whole()
		case s.method.stream != nil:
			return true
		}
	}
	return false
}

func unknown(srv *Server, path string) string {
	service, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return "malformed method name: " + path
	}
	for known := range srv.methods {
		if strings.HasPrefix(known, "/"+service+"/") {
			return "unknown method " + name + " for service " + service
		}
	}
	return "unknown service " + service
}

// onData handles a part of a message.
func (c *conn) onData(f frame, p []byte) error {
	if f.stream == 0 {
		return &fault{codeProtocol, "DATA of no stream"}
	}
	data, ok := unpad(f, p)
	if !ok {
		return &fault{codeProtocol, "padding larger than the frame"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received -= int64(f.length); c.received < 0 {
		return &fault{codeFlowControl, "more than the window"}
	}
	if c.owed += int64(f.length); c.owed >= connWindow/4 {
		c.keep(appendWindow(c.buf(), 0, c.owed))
		c.received, c.owed = c.received+c.owed, 0
	}
	if len(data) == 0 && !f.has(flagEndStream) {
		if err := c.spend("empty DATA"); err != nil {
			return err
		}
	}
	if s := c.find(f.stream); s != nil && !s.closed {
		return c.more(s, f, data)
	}
	if err := c.unlessIdle(f); err != nil {
		return err
	}
	if s := c.find(f.stream); s != nil {
		return c.reset(s, codeStreamClosed)
	}
	if err := c.spend("DATA of closed streams"); err != nil {
		return err
	}
	return c.control(appendReset(c.buf(), f.stream, codeStreamClosed))
}

// more takes data of an open stream; mu is held.
func (c *conn) more(s *stream, f frame, data []byte) error {
	if s.received -= int64(f.length); s.received < 0 {
		return c.reset(s, codeFlowControl)
	}
	s.length += int64(len(data))
	if s.request.length >= 0 && s.length > s.request.length {
		return c.reset(s, codeProtocol)
	}
	if !s.ending && !s.plain && s.failure == nil {
		if why := s.assemble(data); why != nil {
			s.refuse(why.Code(), why.Message())
			return nil
		}
	}
	if f.has(flagEndStream) {
		return c.over(s)
	}
	s.owed += int64(f.length)
	s.credit()
	return nil
}

// over notes that the client has said everything; mu is held.
func (c *conn) over(s *stream) error {
	s.closed = true
	if s.request.length >= 0 && s.length != s.request.length {
		return c.reset(s, codeProtocol)
	}
	switch {
	case s.ending:
	case s.plain:
		s.answerPlain()
	case s.whole():
		s.running = true
		c.answered = true
		c.server.workers.run(s)
	}
	return nil
}

// whole looks at a request that has ended; true: its handler runs now. mu is held.
func (s *stream) whole() bool {
	switch {
	case s.head != 0:
		s.refuse(codes.Internal, "the message is cut off")
	case s.method.stream != nil:
		s.arrived()
		return !s.running && s.receiver == nil
	case !s.complete:
		s.refuse(codes.Internal, "no message")
	default:
		return true
	}
	return false
}

// refuse ends a call that has no handler yet, or fails the one that runs; mu is
// held.
func (s *stream) refuse(c codes.Code, message string) {
	st := status.New(c, message)
	if s.running {
		s.failure = st
		s.arrived()
		return
	}
	s.end(st)
	s.conn.list(s)
}
