package rpc

import (
	"encoding/binary"
)

// spend takes one from the budget of the client; mu is held.
func (c *conn) spend(what string) error {
	if c.calm.spend() {
		return nil
	}
	return &fault{codeCalm, "too many " + what}
}

func (c *conn) onSettings(f frame, p []byte) error {
	if f.stream != 0 {
		return &fault{codeProtocol, "SETTINGS of a stream"}
	}
	if f.has(flagAck) {
		if len(p) != 0 {
			return &fault{codeFrameSize, "SETTINGS ack with a payload"}
		}
		return nil
	}
	if len(p)%6 != 0 {
		return &fault{codeFrameSize, "SETTINGS of a wrong length"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.spend("SETTINGS"); err != nil {
		return err
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	return c.control(appendFrame(c.buf(), 0, kindSettings, flagAck, 0))
}

// setting applies one; mu is held.
func (c *conn) setting(id uint16, v uint32) error {
	switch id {
	case settingTable:
		if v < baseTable {
			c.table.off = true
		}
	case settingPush:
		if v > 1 {
			return &fault{codeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
		}
	case settingWindow:
		if v > maxWindow {
			return &fault{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE too large"}
		}
		more := int64(v) - c.initial
		c.initial = int64(v)
		for _, s := range c.streams {
			if s.window += more; s.window > maxWindow {
				return &fault{codeFlowControl, "window too large"}
			}
			c.wake(s)
		}
	case settingFrame:
		if v < minFrame || v > maxFrame {
			return &fault{codeProtocol, "SETTINGS_MAX_FRAME_SIZE out of range"}
		}
		c.frame = int(v)
	}
	return nil
}

func (c *conn) onPing(f frame, p []byte) error {
	switch {
	case f.stream != 0:
		return &fault{codeProtocol, "PING of a stream"}
	case len(p) != 8:
		return &fault{codeFrameSize, "PING of a wrong length"}
	case f.has(flagAck):
		if [8]byte(p) == pingLeave {
			c.retired()
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.spend("PING"); err != nil {
		return err
	}
	return c.control(append(appendFrame(c.buf(), 8, kindPing, flagAck, 0), p...))
}

func (c *conn) onGoAway(f frame, p []byte) error {
	switch {
	case f.stream != 0:
		return &fault{codeProtocol, "GOAWAY of a stream"}
	case len(p) < 8:
		return &fault{codeFrameSize, "GOAWAY of a wrong length"}
	}
	return nil // the client closes when it has its answers
}

func (c *conn) onWindow(f frame, p []byte) error {
	if len(p) != 4 {
		return &fault{codeFrameSize, "WINDOW_UPDATE of a wrong length"}
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if c.window += n; n == 0 || c.window > maxWindow {
			return windowFault(n)
		}
		return nil
	}
	s := c.find(f.stream)
	if s == nil {
		return c.unlessIdle(f)
	}
	if n == 0 || s.window+n > maxWindow {
		why := codeFlowControl
		if n == 0 {
			why = codeProtocol
		}
		return c.reset(s, why)
	}
	s.window += n
	c.wake(s)
	return nil
}

func windowFault(n int64) error {
	if n == 0 {
		return &fault{codeProtocol, "WINDOW_UPDATE of nothing"}
	}
	return &fault{codeFlowControl, "window too large"}
}

// unlessIdle is an error for frames of streams that were never opened; mu is held.
func (c *conn) unlessIdle(f frame) error {
	if f.stream > c.last || f.stream%2 == 0 {
		return &fault{codeProtocol, "frame of a stream that was not opened"}
	}
	return nil
}

func (c *conn) onReset(f frame, p []byte) error {
	switch {
	case f.stream == 0:
		return &fault{codeProtocol, "RST_STREAM of no stream"}
	case len(p) != 4:
		return &fault{codeFrameSize, "RST_STREAM of a wrong length"}
	}
	c.mu.Lock()
	if err := c.spend("RST_STREAM"); err != nil {
		c.mu.Unlock()
		return err
	}
	s := c.find(f.stream)
	if s == nil {
		err := c.unlessIdle(f)
		c.mu.Unlock()
		return err
	}
	c.remove(s)
	c.gone = append(c.gone, s)
	c.mu.Unlock()
	return nil
}

func (c *conn) onPriority(f frame, p []byte) error {
	switch {
	case f.stream == 0:
		return &fault{codeProtocol, "PRIORITY of no stream"}
	case len(p) != 5:
		return c.resetID(f.stream, codeFrameSize)
	case binary.BigEndian.Uint32(p)&maxWindow == f.stream:
		return c.resetID(f.stream, codeProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend("PRIORITY")
}

// resetID resets a stream that may be open or not.
func (c *conn) resetID(id uint32, why code) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.find(id); s != nil {
		return c.reset(s, why)
	}
	if err := c.spend("streams in error"); err != nil {
		return err
	}
	return c.control(appendReset(c.buf(), id, why))
}

// reset ends a stream for what its client did; mu is held.
func (c *conn) reset(s *stream, why code) error {
	if err := c.spend("streams in error"); err != nil {
		return err
	}
	c.remove(s)
	c.gone = append(c.gone, s)
	return c.control(appendReset(c.buf(), s.id, why))
}

// control queues a frame that answers no call; mu is held. A client that makes us
// queue many and reads none is cut.
func (c *conn) control(b []byte) error {
	c.keep(b)
	if c.writing && c.size() > maxControl+outLimit {
		return &fault{codeCalm, "it reads nothing"}
	}
	return nil
}

// unpad takes padding off.
func unpad(f frame, p []byte) ([]byte, bool) {
	if !f.has(flagPadded) {
		return p, true
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}
