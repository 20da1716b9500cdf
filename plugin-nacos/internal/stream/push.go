package stream

import (
	"strings"
	"time"
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

// Withdraw ends the push of a key, sent or not: nobody wants it any more.
func (c *Conn) Withdraw(key any) {
	c.mu.Lock()
	c.queue.withdraw(key)
	c.mu.Unlock()
}

// maxControl bounds messages without acknowledgement that wait to be written: a
// client that asks for more without reading gets no more.
const maxControl = 8

// send writes a message without acknowledgement.
func (c *Conn) send(m *message) {
	c.mu.Lock()
	if !c.closed && len(c.queue.control) < maxControl {
		c.queue.control = append(c.queue.control, m)
	}
	c.mu.Unlock()
	c.look()
}

// look has what is due written, unless somebody is at it, or the client takes nothing.
func (c *Conn) look() {
	c.mu.Lock()
	pump := c.line != nil && !c.pumping && !c.slow && !c.closed
	c.pumping = c.pumping || pump
	c.mu.Unlock()
	if pump {
		c.server.pushers.add(c)
	}
}

// arm has the queue looked at after a while, and not at all after 0; mu is held.
func (c *Conn) arm(wait time.Duration) {
	switch {
	case wait > 0 && !c.closed && c.timer == nil:
		c.timer = time.AfterFunc(wait, c.look)
	case wait > 0 && !c.closed:
		c.timer.Reset(wait)
	case c.timer != nil:
		c.timer.Stop()
	}
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
	now := time.Now()
	found, exhausted := c.queue.settle(id, ok, now)
	wait, due := c.queue.wait(now)
	if found && !due {
		c.arm(wait) // most acknowledgements leave nothing to write
	}
	c.mu.Unlock()
	if found {
		c.server.meters.acks.Inc()
	}
	if found && due {
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
