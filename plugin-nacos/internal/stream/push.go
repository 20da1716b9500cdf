package stream

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Push sends p until the client acknowledges it. It never waits; pushes of a
// connection that has ended are dropped, since a client that comes back compares
// everything.
func (c *Conn) Push(p Push) {
	c.mu.Lock()
	if !c.closed {
		c.queue.push(p, time.Now())
	}
	c.mu.Unlock()
	c.look()
}

// send writes a message without acknowledgement.
func (c *Conn) send(o *outgoing) {
	c.mu.Lock()
	if !c.closed {
		c.queue.control = append(c.queue.control, o)
	}
	c.mu.Unlock()
	c.look()
}

func (c *Conn) look() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// write is the one writer of a stream. It ends with the connection or the
// stream.
func (c *Conn) write(s biStream) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		out, wait, exhausted := c.take()
		switch {
		case exhausted:
			c.server.drop(c, "it acknowledges nothing")
			return
		case out != nil:
			c.server.meters.pushes.WithLabelValues(out.kind).Inc()
			c.sending.Store(time.Now().UnixMilli())
			err := s.Send(payload(out.kind, out.body, c.server.address))
			c.sending.Store(0)
			if err != nil {
				return // the stream is over, and its reader closes the connection
			}
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-c.wake:
		case <-due:
		case <-c.done:
			return
		case <-s.Context().Done():
			return
		}
	}
}

func (c *Conn) take() (*outgoing, time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.next(time.Now(), c.server.nextID)
}

// acknowledge settles a push by an answer of the client, whatever its type, by
// its result code alone (NAC-PSH-03, NAC-PSH-04).
func (c *Conn) acknowledge(kind string, body Body) {
	code := body.Get("resultCode")
	ok := !code.Exists() || code.Int() == 200
	request := body.Get("requestId")
	c.mu.Lock()
	id := request.Uint()
	if request.String() == "" && kind == ackConfigChange {
		id = c.queue.oldest(pushConfigChange) // NAC-QRK-11
	}
	found, exhausted := c.queue.settle(id, ok, time.Now())
	c.mu.Unlock()
	if found {
		c.server.meters.acks.Inc()
		c.look()
	}
	if exhausted {
		c.server.drop(c, "it refuses what it is pushed")
	}
}

// The push whose acknowledgement one client sends without a request id.
const (
	pushConfigChange = "ConfigChangeNotifyRequest"
	ackConfigChange  = "ConfigChangeNotifyResponse"
)

// isAnswer says whether a message on the stream is one, by its class.
func isAnswer(kind string) bool { return strings.HasSuffix(kind, "Response") }

func payload(kind string, body []byte, address string) *nacospb.Payload {
	return &nacospb.Payload{
		Metadata: &nacospb.Metadata{Type: kind, ClientIp: address},
		Body:     &anypb.Any{Value: body},
	}
}
