package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Plan is how the clients of one swarm over gRPC behave.
type Plan struct {
	Addr   string
	Module string // config or naming (NAC-CON-11)
	// Script are the calls a client makes before it is ready, Payloads of requests.
	Script [][]byte
	// Bare peers know nothing of the protocol: the client opens its stream, and is
	// ready at the first message on it.
	Bare bool
}

// paths of the calls (NAC-TRN-01).
const (
	pathUnary  = "/Request/request"
	pathStream = "/BiRequestStream/requestBiStream"
)

// Dialer opens clients of one plan.
type Dialer struct {
	plan          Plan
	unary, stream []byte // header blocks
	hello         []byte
	setup         []byte
}

// NewDialer prepares what all clients of a plan send.
func NewDialer(p Plan) *Dialer {
	d := &Dialer{plan: p, unary: headerBlock(p.Addr, pathUnary), stream: headerBlock(p.Addr, pathStream)}
	d.setup = Payload("ConnectionSetupRequest", fmt.Appendf(nil,
		`{"clientVersion":"bench","tenant":"","labels":{"source":"sdk","module":%q},"abilityTable":{},"module":"internal"}`, p.Module))
	d.hello = preface()
	if p.Bare {
		d.hello = d.appendStream(d.hello, 1)
	} else {
		d.hello = d.appendCall(d.hello, 1, Payload("ServerCheckRequest", []byte(`{}`)))
	}
	return d
}

func (d *Dialer) appendCall(b []byte, id uint32, payload []byte) []byte {
	b = appendFrame(b, http2.FrameHeaders, http2.FlagHeadersEndHeaders, id, d.unary)
	return appendData(b, id, true, payload)
}

func (d *Dialer) appendStream(b []byte, id uint32) []byte {
	b = appendFrame(b, http2.FrameHeaders, http2.FlagHeadersEndHeaders, id, d.stream)
	return appendData(b, id, false, d.setup)
}

// Dial opens one more client; script overrides that of the plan when it is not
// nil.
func (s *Swarm) Dial(d *Dialer, script [][]byte) (*Client, error) {
	if script == nil {
		script = d.plan.Script
	}
	m := &sdk{dialer: d, script: script}
	m.call.answer = true
	m.frames.initial = 65535
	m.frames.room.Store(65535)
	if d.plan.Bare {
		m.bi = 1
	}
	m.next.Store(3)
	return s.dial(d.plan.Addr, m, false)
}

// sdk is a client of the SDK protocol: check, setup, script, then it acknowledges
// whatever is pushed.
type sdk struct {
	frames frames
	dialer *Dialer
	script [][]byte

	client *Client
	at     time.Time
	bi     uint32        // id of the stream; 0: not open
	next   atomic.Uint32 // id of the next call
	call   message       // the answer on its way
	heard  uint32        // the last call that was answered
	push   message
	spent  int64 // sent on the stream
	extra  int64 // room the peer added to it
}

var (
	_ machine  = (*sdk)(nil)
	_ receiver = (*sdk)(nil)
)

func (m *sdk) greeting() []byte { return m.dialer.hello }

func (m *sdk) feed(c *Client, b []byte, at time.Time) error {
	m.client, m.at = c, at
	return m.frames.feed(b, m)
}

func (m *sdk) reply(b []byte) error { return m.client.Send(b) }

var errWindow = errors.New("the peer gives no room to send")

// Call sends a request; its answer is told to Handler.Answer. At most one may be
// on its way, and only after the client is ready.
func (c *Client) Call(payload []byte) error {
	m, ok := c.state.(*sdk)
	if !ok {
		return errors.New("not a client of the SDK protocol")
	}
	return m.invoke(c, payload)
}

func (m *sdk) invoke(c *Client, payload []byte) error {
	if m.frames.room.Add(-int64(len(payload)+5)) < 0 {
		return errWindow
	}
	id := m.next.Add(2) - 2
	return c.Send(m.dialer.appendCall(nil, id, payload))
}

func (m *sdk) data(stream uint32, b []byte) error {
	marker := m.client.swarm.marker.Load()
	var needle []byte
	if marker != nil {
		needle = *marker
	}
	msg := &m.call
	if stream == m.bi {
		msg = &m.push
	}
	for len(b) > 0 {
		rest, over, err := msg.feed(b, needle)
		if err != nil {
			return err
		}
		b = rest
		if !over {
			continue
		}
		if stream == m.bi {
			err = m.pushed()
		} else {
			m.heard = max(m.heard, stream)
			err = m.answered()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answered handles a whole answer.
func (m *sdk) answered() error {
	switch {
	case m.client.ready:
		if f := m.client.swarm.handler.Answer; f != nil {
			f(m.client, m.tell(&m.call))
		}
		return nil
	case !m.call.ok:
		return fmt.Errorf("answered %q", m.call.head[:m.call.headN])
	case m.bi == 0: // the check
		m.bi = m.next.Add(2) - 2
		if !m.call.settles {
			m.client.since = m.at
			m.client.swarm.waiting = append(m.client.swarm.waiting, m.client)
		}
		return m.client.Send(m.dialer.appendStream(nil, m.bi))
	}
	return m.proceed()
}

// proceed makes the next call of the script.
func (m *sdk) proceed() error {
	if len(m.script) == 0 {
		m.client.became()
		return nil
	}
	next := m.script[0]
	m.script = m.script[1:]
	return m.invoke(m.client, next)
}

func (m *sdk) tell(msg *message) Message {
	return Message{Size: msg.size, Marked: msg.marked, OK: msg.ok, At: m.at}
}

// pushed handles a whole message on the stream.
func (m *sdk) pushed() error {
	if m.dialer.plan.Bare && !m.client.ready {
		m.client.became()
		return nil
	}
	kind := m.push.kind()
	switch string(kind) {
	case "SetupAckRequest":
		return m.proceed()
	case "ClientDetectionRequest", "ConnectResetRequest", "ClientConfigMetricRequest":
		return m.acknowledge(kind)
	}
	if err := m.acknowledge(kind); err != nil {
		return err
	}
	if f := m.client.swarm.handler.Push; f != nil {
		f(m.client, m.tell(&m.push))
	}
	return nil
}

// acknowledge answers a push (NAC-PSH-02, NAC-PSH-04).
func (m *sdk) acknowledge(kind []byte) error {
	if len(kind) < len("Request") {
		return fmt.Errorf("pushed %q", m.push.head[:m.push.headN])
	}
	s := m.client.swarm
	var name [64]byte
	n := copy(name[:], kind[:len(kind)-len("Request")])
	n += copy(name[n:], "Response")
	var value [128]byte
	body := append(value[:0], `{"resultCode":200,"errorCode":0,"success":true,"requestId":"`...)
	body = append(append(body, m.push.requestID()...), `"}`...)
	b := append(s.scratch[:0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // frame and prefix
	b = appendPayload(b, name[:n], body)
	length := len(b) - frameHeader
	b[1], b[2], b[3] = byte(length>>8), byte(length), byte(http2.FrameData)
	binary.BigEndian.PutUint32(b[5:], m.bi)
	binary.BigEndian.PutUint32(b[10:], uint32(length-5))
	s.scratch = b
	m.spent += int64(length)
	if m.frames.room.Add(-int64(length)) < 0 || m.spent > m.frames.initial+m.extra {
		return errWindow
	}
	return m.client.Send(b)
}

func (m *sdk) ended(f *frames) error {
	switch f.kind() {
	case http2.FrameWindowUpdate:
		if f.stream() == m.bi {
			m.extra += int64(binary.BigEndian.Uint32(f.control[:4]))
		}
	case http2.FrameRSTStream:
		return fmt.Errorf("stream %d reset: %x", f.stream(), f.control[:f.n])
	case http2.FrameHeaders:
		if !f.flags().Has(http2.FlagHeadersEndStream) {
			return nil
		}
		if f.stream() == m.bi {
			return fmt.Errorf("stream ended: %s", f.describe())
		}
		if f.stream() > m.heard {
			return fmt.Errorf("call failed: %s", f.describe())
		}
	default:
	}
	return nil
}
