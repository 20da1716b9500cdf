package rpc

import (
	"context"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// handle runs the handler and sends what it answers.
func (s *stream) handle() {
	parts, err := s.serve()
	s.done(parts, err)
}

// serve calls the handler. One that panics costs its call alone.
func (s *stream) serve() (parts mem.BufferSlice, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.conn.server.logger.Error("handler panicked", zap.String("route", s.method.path),
				zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			parts, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	m := s.method
	if m.stream != nil {
		if next := m.options.Stream; next != nil {
			return nil, next(m.service, s, &grpc.StreamServerInfo{
				FullMethod: m.path, IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams,
			}, m.stream.Handler)
		}
		return nil, m.stream.Handler(m.service, s)
	}
	reply, err := m.unary.Handler(m.service, &s.call, s.decodeBody, m.options.Unary)
	if err != nil {
		return nil, err //nolint:wrapcheck // a status
	}
	return s.encode(reply)
}

// decodeBody reads the message of a unary call.
func (s *stream) decodeBody(m any) error { return s.decode(s.body, m) }

// done sends the end of a call.
func (s *stream) done(parts mem.BufferSlice, err error) {
	st := statusOf(err)
	c := s.conn
	c.mu.Lock()
	s.running = false
	left := s.receiver != nil && err == nil
	c.list(s)
	switch {
	case s.gone:
		c.orphans--
	case !left:
		if s.method.unary != nil && err == nil {
			s.out.add(parts)
		}
		c.calm.earn()
		s.end(st)
	}
	c.flush()
	if !left {
		s.call.cancel(context.Canceled)
	}
}

func statusOf(err error) *status.Status {
	if err == nil {
		return statusGood
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// head queues the beginning of an answer; the lock is held.
func (c *conn) head(s *stream) {
	b := c.buf()
	start := len(b)
	b = appendFrame(b, 0, kindHeaders, flagEndHeaders, s.id)
	if s.plain {
		b = appendText(append(c.table.begin(b), nameStatus), s.code)
		b = appendText(appendInt(b, 0, 4, nameContent), "text/plain")
	} else {
		b = c.table.appendHead(b, answerContent(s.request.content))
		b = appendMetadata(b, s.header)
	}
	c.keep(c.split(b, start, 0))
}

// trailers queues the end of an answer, with its beginning when there was no
// message; the lock is held.
func (c *conn) trailers(s *stream, alone bool) {
	b := c.buf()
	start := len(b)
	b = appendFrame(b, 0, kindHeaders, flagEndHeaders|flagEndStream, s.id)
	if alone {
		b = c.table.appendHead(b, answerContent(s.request.content))
		if s.accepts {
			b = appendField(b, "grpc-accept-encoding", "identity")
		}
		b = appendMetadata(b, s.header)
	}
	b = c.table.appendStatus(b, s.status)
	b = appendMetadata(b, s.trailer)
	c.keep(c.split(b, start, flagEndStream))
	c.finished(s)
}

// split sets the length of the headers that begin at start, and makes several
// frames of them when the client takes none so large.
func (c *conn) split(b []byte, start int, end uint8) []byte {
	n := len(b) - start - frameHead
	if n <= c.frame {
		b[start], b[start+1], b[start+2] = byte(n>>16), byte(n>>8), byte(n)
		return b
	}
	id := parseFrame(b[start:]).stream
	block := append([]byte(nil), b[start+frameHead:]...)
	b = b[:start]
	for k, flags := kindHeaders, end; len(block) > 0; k, flags = kindContinuation, 0 {
		part := block[:min(len(block), c.frame)]
		if block = block[len(part):]; len(block) == 0 {
			flags |= flagEndHeaders
		}
		b = append(appendFrame(b, len(part), k, flags, id), part...)
	}
	return b
}

// finished ends a stream whose answer is queued; the lock is held. A client that
// has not said everything is told that nobody listens.
func (c *conn) finished(s *stream) {
	if !s.closed {
		c.keep(appendReset(c.buf(), s.id, codeNone))
	}
	c.remove(s)
}

// answerContent is the content type of the answer to a request with one.
func answerContent(content string) string {
	if content == grpcContent {
		return grpcContent
	}
	content, _, _ = strings.Cut(content, ";")
	return content
}

var statusGood = status.New(codes.OK, "") //nolint:gochecknoglobals // a constant
