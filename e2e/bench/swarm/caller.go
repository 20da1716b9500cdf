package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Caller makes one unary call of gRPC at a time on a connection of its own. It
// does no more than that takes, since it shares the cores with the server: one
// write, and as many reads as the answer comes in. Its methods are for one
// goroutine.
type Caller struct {
	conn   net.Conn
	frames frames
	addr   string
	head   []byte // the headers of a call

	next   uint32 // the next stream
	stream uint32 // the call on its way
	over   bool   // it was answered
	bi     uint32 // a stream that stays open; 0: none
	heard  bool   // something came on it
	in     [32 << 10]byte
	out    []byte
	answer []byte // with its prefix
	good   []byte // trailers that tell success
}

var _ receiver = (*Caller)(nil)

// largest is the frame that every server takes; a request is one.
const largest = 16 << 10

// DialCaller connects to a server of gRPC without TLS, for calls of one method.
func DialCaller(addr, method string) (*Caller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &Caller{conn: conn, addr: addr, head: headerBlock(addr, method), next: 1}
	c.frames.initial = 65535
	c.frames.room.Store(65535)
	if _, err := conn.Write(preface()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Caller) Close() { _ = c.conn.Close() }

// Call returns the answer, which is valid until the next call.
func (c *Caller) Call(request []byte) ([]byte, error) {
	c.stream, c.over, c.answer = c.next, false, c.answer[:0]
	c.next += 2
	if err := c.send(c.stream, c.head, true, request); err != nil {
		return nil, err
	}
	for !c.over {
		if err := c.read(); err != nil {
			return nil, err
		}
	}
	if len(c.answer) < 5 || int(binary.BigEndian.Uint32(c.answer[1:])) != len(c.answer)-5 {
		return nil, fmt.Errorf("answer of %d bytes is not one message", len(c.answer))
	}
	return c.answer[5:], nil
}

// Open sends a message on a stream that stays open, and waits for the first one
// that comes when settles is set.
func (c *Caller) Open(method string, message []byte, settles bool) error {
	c.bi, c.heard = c.next, false
	c.next += 2
	if err := c.send(c.bi, headerBlock(c.addr, method), false, message); err != nil {
		return err
	}
	for settles && !c.heard {
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Caller) send(stream uint32, head []byte, end bool, message []byte) error {
	n := int64(len(message) + 5)
	if n > min(c.frames.initial, largest) || c.frames.room.Add(-n) < 0 {
		return errWindow
	}
	c.out = appendFrame(c.out[:0], http2.FrameHeaders, http2.FlagHeadersEndHeaders, stream, head)
	c.out = appendData(c.out, stream, end, message)
	_, err := c.conn.Write(c.out)
	return err
}

func (c *Caller) read() error {
	n, err := c.conn.Read(c.in[:])
	if err != nil {
		return err
	}
	return c.frames.feed(c.in[:n], c)
}

func (c *Caller) data(stream uint32, b []byte) error {
	switch stream {
	case c.stream:
		c.answer = append(c.answer, b...)
	case c.bi:
		c.heard = c.heard || len(b) > 0
	}
	return nil
}

func (c *Caller) reply(b []byte) error {
	_, err := c.conn.Write(b)
	return err
}

func (c *Caller) ended(f *frames) error {
	switch f.kind() {
	case http2.FrameRSTStream:
		if f.stream() == c.stream && c.over {
			return nil // the server asks for nothing more
		}
		return fmt.Errorf("stream %d reset: %x", f.stream(), f.control[:f.n])
	case http2.FrameHeaders:
		if !f.flags().Has(http2.FlagHeadersEndStream) {
			return nil
		}
		if f.stream() == c.bi {
			return fmt.Errorf("stream ended: %s", f.describe())
		}
		c.over = f.stream() == c.stream
		return c.succeeded(f)
	default:
	}
	return nil
}

var errFailed = errors.New("call failed")

// succeeded reads trailers; those that were read before are known.
func (c *Caller) succeeded(f *frames) error {
	if c.good != nil && bytes.Equal(c.good, f.control[:f.n]) {
		return nil
	}
	fields, err := hpack.NewDecoder(0, nil).DecodeFull(f.control[:f.n])
	if err != nil {
		return fmt.Errorf("trailers: %w", err)
	}
	for _, field := range fields {
		if field.Name == "grpc-status" && field.Value == "0" {
			c.good = bytes.Clone(f.control[:f.n])
			return nil
		}
	}
	return fmt.Errorf("%w: %v", errFailed, fields)
}
