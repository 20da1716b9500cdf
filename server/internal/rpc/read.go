package rpc

import (
	"io"
	"syscall"
	"time"
)

// readSize is how much is read at once: a frame of the largest size, and more.
const readSize = 32 << 10

// greet reads the preface and says whether it is one.
func (c *conn) greet() (bool, error) {
	var b [len(preface)]byte
	n := copy(b[:], c.early)
	c.early = nil
	if _, err := io.ReadFull(c.sock, b[n:]); err != nil {
		return false, err
	}
	return string(b[:]) == preface, nil
}

// read reads and handles frames until the end.
func (c *conn) read() error {
	if c.raw == nil {
		return c.readSlow()
	}
	err := c.raw.Read(c.readable)
	if c.broken != nil {
		return c.broken
	}
	return err
}

// readable is called when there may be something to read. It has a buffer only
// while there is, and returns false to wait for more.
func (c *conn) readable(fd uintptr) bool {
	buf := c.server.buffers.Get().(*[readSize]byte) //nolint:forcetypeassert // the pool has nothing else
	defer c.server.buffers.Put(buf)
	for {
		had := copy(buf[:], c.rest)
		n, err := syscall.Read(int(fd), buf[had:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil || n <= 0:
			c.broken = io.EOF
			return true
		}
		if c.broken = c.feed(buf[:had+n]); c.broken != nil {
			return true
		}
		// The system had no more, and what it gets meanwhile wakes us. The end of
		// the connection may have come with what was read, and would wake nobody: it
		// is not looked for when an answer will be written, since that finds it.
		if c.answered && had+n < len(buf) {
			return false
		}
	}
}

// readSlow is read for connections that are more than a socket.
func (c *conn) readSlow() error {
	buf := make([]byte, 4<<10)
	for {
		n, err := c.sock.Read(buf)
		if n > 0 {
			b := buf[:n]
			if len(c.rest) > 0 {
				b = append(c.rest, b...)
				c.rest = nil
			}
			if err := c.feed(b); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// feed handles the frames in b and keeps the rest.
func (c *conn) feed(b []byte) error {
	if now := c.server.clock.Load(); c.seen.Load() != now {
		c.seen.Store(now)
	}
	for len(b) >= frameHead {
		f := parseFrame(b)
		if f.length > minFrame {
			return &fault{codeFrameSize, "frame too large"}
		}
		if len(b) < frameHead+f.length {
			break
		}
		c.answered = false
		if err := c.handle(f, b[frameHead:frameHead+f.length]); err != nil {
			return err
		}
		b = b[frameHead+f.length:]
	}
	c.mu.Lock()
	dead := c.dead
	c.flush()
	for i, s := range c.gone {
		s.lost(errCancelled)
		c.gone[i] = nil
	}
	c.gone = c.gone[:0]
	if dead {
		return io.EOF
	}
	if len(b) == 0 {
		c.rest = nil
		return nil
	}
	c.answered = false
	c.rest = append(make([]byte, 0, len(b)), b...)
	return nil
}

// handle handles one frame.
func (c *conn) handle(f frame, payload []byte) error {
	if !c.greeted {
		if f.kind != kindSettings || f.has(flagAck) {
			return &fault{codeProtocol, "the first frame is not SETTINGS"}
		}
		c.greeted = true
		_ = c.sock.SetReadDeadline(time.Time{})
	}
	if c.going.stream != 0 && (f.kind != kindContinuation || f.stream != c.going.stream) {
		return &fault{codeProtocol, "headers are interrupted"}
	}
	if f.kind == kindPush {
		return &fault{codeProtocol, "clients push nothing"}
	}
	if int(f.kind) >= len(on) {
		return nil // of a later version
	}
	return on[f.kind](c, f, payload)
}

// on is what is done with frames, by kind.
var on = [...]func(*conn, frame, []byte) error{ //nolint:gochecknoglobals // a constant table
	kindData: (*conn).onData, kindHeaders: (*conn).onHeaders, kindPriority: (*conn).onPriority,
	kindReset: (*conn).onReset, kindSettings: (*conn).onSettings, kindPush: nil, kindPing: (*conn).onPing,
	kindGoAway: (*conn).onGoAway, kindWindow: (*conn).onWindow, kindContinuation: (*conn).onContinuation,
}
