package rpc

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	arenaSize = 2 << 10
	// outLimit is about how much is queued for the system at once; what streams have
	// more waits in them.
	outLimit = 128 << 10
	// copyLimit is up to how many bytes are copied rather than referred to.
	copyLimit = 4 << 10
	maxPieces = 64 // that one system call takes
)

// writer is the side of a connection that sends. Frames are added to it under its
// lock, and flush sends them.
type writer struct {
	mu      sync.Mutex // guards what follows, and the connection
	out     batch
	sendq   []*stream // that have something to send, and window of their own
	window  int64     // that the client has left us
	initial int64     // of new streams
	frame   int       // the largest payload that the client takes
	table   table
	writing bool // somebody sends sent

	// Of whoever sends.
	sent  batch
	tries func(fd uintptr) bool
	err   error
}

// batch is bytes in pieces; all but the last are in pieces, which may refer to what
// is not ours.
type batch struct {
	arena  *[]byte
	buf    []byte // in arena, or grown out of it
	start  int    // of what is not in pieces yet
	pieces [][]byte
	size   int // of pieces
}

// size is how much is queued; mu is held.
func (w *writer) size() int { return w.out.size + len(w.out.buf) - w.out.start }

// buf is what frames are appended to; keep takes it back. mu is held.
func (c *conn) buf() []byte {
	if c.out.arena == nil {
		c.out.arena = c.server.arenas.Get().(*[]byte) //nolint:forcetypeassert // the pool has nothing else
		c.out.buf = (*c.out.arena)[:0]
	}
	return c.out.buf
}

func (c *conn) keep(b []byte) { c.out.buf = b }

// refer queues bytes that must not change; mu is held.
func (b *batch) refer(p []byte) {
	b.cutOff()
	b.pieces = append(b.pieces, p)
	b.size += len(p)
}

// cutOff makes a piece of what was appended.
func (b *batch) cutOff() {
	if n := len(b.buf); n > b.start {
		b.pieces = append(b.pieces, b.buf[b.start:n:n])
		b.size += n - b.start
		b.start = n
	}
}

// flush sends what is queued, unless somebody else does already; mu is held, and
// is not afterwards.
func (c *conn) flush() {
	for {
		if !c.dead {
			c.pump()
		}
		if c.writing || c.dead || c.size() == 0 {
			over := !c.writing && !c.dead && c.leaving == refusing && len(c.streams) == 0
			tell := len(c.told) > 0
			c.mu.Unlock()
			if over {
				c.cut()
			}
			if tell {
				c.tellAll()
			}
			return
		}
		c.writing = true
		c.sent, c.out = c.out, batch{}
		c.mu.Unlock()
		if !c.try() {
			c.server.group.Go(c.drain)
			return
		}
		c.mu.Lock()
		c.writing = false
	}
}

// try sends without waiting; false: something is left.
func (c *conn) try() bool {
	if c.raw == nil {
		return false
	}
	if len(c.sent.pieces) > 0 {
		c.sent.cutOff()
	}
	if c.tries == nil {
		c.tries = c.once
	}
	if err := c.raw.Write(c.tries); err != nil && c.err == nil {
		c.err = err
	}
	if c.err != nil {
		c.cut()
		return true
	}
	done := c.sent.left() == 0
	if done {
		c.release()
	}
	return done
}

// left is how much is to be sent.
func (b *batch) left() int {
	if len(b.pieces) > 0 {
		return b.size
	}
	return len(b.buf) - b.start
}

// once asks the system to take what it can.
func (c *conn) once(fd uintptr) bool {
	for c.sent.left() > 0 {
		var n int
		var err error
		if len(c.sent.pieces) == 0 {
			n, err = syscall.Write(int(fd), c.sent.buf[c.sent.start:])
		} else {
			n, err = unix.Writev(int(fd), c.sent.pieces[:min(maxPieces, len(c.sent.pieces))])
		}
		switch {
		case err == syscall.EINTR: //nolint:errorlint // what the system call says
			continue
		case err == syscall.EAGAIN: //nolint:errorlint // likewise
			return true
		case err != nil:
			c.err = err
			return true
		}
		c.sent.skip(n)
	}
	return true
}

// skip takes off what was sent.
func (b *batch) skip(n int) {
	if len(b.pieces) == 0 {
		b.start += n
		return
	}
	b.size -= n
	for n > 0 {
		if n < len(b.pieces[0]) {
			b.pieces[0] = b.pieces[0][n:]
			return
		}
		n -= len(b.pieces[0])
		b.pieces[0] = nil
		b.pieces = b.pieces[1:]
	}
}

// release gives the memory of what was sent back.
func (c *conn) release() {
	if a := c.sent.arena; a != nil {
		if cap(c.sent.buf) <= 8*arenaSize {
			*a = c.sent.buf[:0]
		}
		c.server.arenas.Put(a)
	}
	c.sent = batch{}
}

// drain sends what a client did not take at once, and what is queued meanwhile. It
// ends with the queue, or with a client that takes nothing for too long.
func (c *conn) drain() {
	for {
		c.sent.cutOff()
		for i, p := range c.sent.pieces {
			for len(p) > 0 {
				part := p[:min(len(p), outLimit)]
				_ = c.sock.SetWriteDeadline(time.Now().Add(c.server.settings.times.write))
				if _, err := c.sock.Write(part); err != nil {
					c.cut()
					return // writing stays true: nothing is sent any more
				}
				p = p[len(part):]
			}
			c.sent.pieces[i] = nil
		}
		c.release()
		c.mu.Lock()
		if !c.dead {
			c.pump()
		}
		if c.dead || c.size() == 0 {
			c.writing = false
			c.flush()
			return
		}
		c.sent, c.out = c.out, batch{}
		c.mu.Unlock()
		c.tellAll()
	}
}

// wake lets a stream send again that waited for its window; mu is held.
func (c *conn) wake(s *stream) {
	if s.stuck && s.window > 0 {
		s.stuck = false
		c.sendq = append(c.sendq, s)
	}
}

// pump makes frames of what streams have, in turns, as far as windows and the
// queue let it; mu is held.
func (c *conn) pump() {
	for blocked := 0; len(c.sendq) > blocked && c.size() < outLimit; {
		s := c.sendq[0]
		n := copy(c.sendq, c.sendq[1:])
		c.sendq[n] = nil
		c.sendq = c.sendq[:n]
		if !c.advance(s) {
			continue
		}
		c.sendq = append(c.sendq, s)
		if blocked++; c.window > 0 {
			blocked = 0
		}
	}
}

// advance sends one frame of a stream, and what belongs before and after; it says
// whether there is more that may be sent. mu is held.
func (c *conn) advance(s *stream) (again bool) {
	if !s.headed {
		s.headed = true
		if s.out.left == 0 && s.ending && len(s.out.next) == 0 {
			c.trailers(s, true)
			return false
		}
		c.head(s)
	}
	s.progress = c.server.clock.Load()
	if s.out.left > 0 {
		n := int(min(int64(s.out.left), int64(c.frame), s.window, c.window))
		if n <= 0 {
			s.stuck = s.window <= 0
			return !s.stuck
		}
		s.window -= int64(n)
		c.window -= int64(n)
		var flags uint8
		if s.plain && n == s.out.left {
			flags = flagEndStream
		}
		c.keep(appendFrame(c.buf(), n, kindData, flags, s.id))
		c.move(&s.out, n)
		if s.out.left > 0 {
			return true
		}
	}
	if s.out.load() {
		return true
	}
	switch {
	case s.ending && s.plain:
		c.finished(s)
		return false
	case s.ending:
		c.trailers(s, false)
		return false
	}
	s.waiting = false
	s.writable()
	return false
}

// move appends n bytes of a message; mu is held.
func (c *conn) move(o *outgoing, n int) {
	o.left -= n
	if k := min(n, len(o.prefix)-o.said); k > 0 {
		c.keep(append(c.buf(), o.prefix[o.said:o.said+k]...))
		o.said += k
		n -= k
	}
	for n > 0 {
		p := o.parts[0].ReadOnlyData()[o.taken:]
		part := p[:min(n, len(p))]
		if len(part) <= copyLimit {
			c.keep(append(c.buf(), part...))
		} else {
			c.buf()
			c.out.refer(part)
		}
		n -= len(part)
		if o.taken += len(part); len(part) == len(p) {
			o.parts, o.taken = o.parts[1:], 0
		}
	}
}
