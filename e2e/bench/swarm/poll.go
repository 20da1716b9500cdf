package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// DialPoll opens one more client that sends a request over HTTP/1.1 and waits for
// its answer. It counts as ready when the request was sent. An answer with a body
// is told to Handler.Push, and Client.Send asks again; an empty one, which ends
// the time a poll is held, is asked again at once.
func (s *Swarm) DialPoll(addr string, request []byte) (*Client, error) {
	return s.dial(addr, &poll{request: request}, true)
}

// poll reads one answer after the other.
type poll struct {
	request []byte
	got     []byte // of an answer that came in pieces
}

var _ machine = (*poll)(nil)

func (p *poll) greeting() []byte { return p.request }

// maxAnswer bounds the answer to a poll: one changed line and headers.
const maxAnswer = 16 << 10

func (p *poll) feed(c *Client, b []byte, at time.Time) error {
	if len(p.got) > 0 {
		p.got = append(p.got, b...)
		b = p.got
	}
	for len(b) > 0 {
		body, rest, whole, err := answer(b)
		if err != nil {
			return err
		}
		if !whole {
			if len(b) > maxAnswer {
				return errors.New("answer without end")
			}
			p.got = append(p.got[:0], b...)
			return nil
		}
		b = rest
		if len(bytes.TrimSpace(body)) == 0 {
			if err := c.Send(p.request); err != nil {
				return err
			}
			continue
		}
		if f := c.swarm.handler.Push; f != nil {
			f(c, Message{Size: len(body), OK: true, At: at})
		}
	}
	p.got = p.got[:0]
	return nil
}

// answer splits the first answer off b.
func answer(b []byte) (body, rest []byte, whole bool, err error) {
	head, after, found := bytes.Cut(b, []byte("\r\n\r\n"))
	if !found {
		return nil, nil, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return nil, nil, false, fmt.Errorf("answered %q", b[:min(len(b), 200)])
	}
	chunked := false
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.Atoi(string(value))
			if err != nil || n < 0 {
				return nil, nil, false, fmt.Errorf("length %q", value)
			}
			if len(after) < n {
				return nil, nil, false, nil
			}
			return after[:n], after[n:], true, nil
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.Equal(value, []byte("chunked"))
		}
	}
	if !chunked {
		return nil, nil, false, errors.New("answer without length")
	}
	body, rest, whole = bytes.Cut(after, []byte("0\r\n\r\n"))
	return body, rest, whole, nil
}
