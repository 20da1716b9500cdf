package stream

import (
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/plugin"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

var _ plugin.Receiver = (*reader)(nil)

// detach takes the stream from its handler.
func (r *reader) detach(bi biStream) error {
	var under grpc.ServerStream = bi
	if g, ok := bi.(*grpc.GenericServerStream[nacospb.Payload, nacospb.Payload]); ok {
		under = g.ServerStream
	}
	d, ok := under.(plugin.Detacher)
	if !ok { // an interceptor hides it
		return status.Error(codes.Internal, "the stream cannot be detached")
	}
	r.line = d.Detach(r)
	if !r.conn.hold(r.line) {
		r.line.End(r.server.farewell())
	}
	return nil
}

// Receive implements plugin.Receiver.
func (r *reader) Receive(decode func(any) error) error {
	p := new(nacospb.Payload)
	if err := decode(p); err != nil {
		return err
	}
	if r.receive(p) != nil {
		r.line.End(r.server.farewell()) // refused
	}
	return nil
}

// Writable implements plugin.Receiver.
func (r *reader) Writable() {
	c := r.conn
	c.sending.Store(0)
	c.mu.Lock()
	c.slow = false
	c.mu.Unlock()
	c.look()
}

// Over implements plugin.Receiver.
func (r *reader) Over() {
	r.line.End(r.server.farewell())
	r.conn.drop(r.line)
	if r.owner { // the end of this stream is that of the registration
		r.conn.close()
	}
}

// hold notes a stream that ends with the connection; false: it has ended.
func (c *Conn) hold(line plugin.Detached) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.lines = append(c.lines, line)
	}
	return !c.closed
}

func (c *Conn) drop(line plugin.Detached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, l := range c.lines {
		if l == line {
			c.lines = append(c.lines[:i], c.lines[i+1:]...)
			return
		}
	}
}

// join makes a stream the one that is written to.
func (c *Conn) join(line plugin.Detached) {
	c.mu.Lock()
	c.line = line
	c.mu.Unlock()
	c.look()
}

// pump writes what is due to a stream that takes it without waiting. It runs once
// at a time, see look.
func (c *Conn) pump() {
	var out message
	for {
		found, exhausted := c.take(&out)
		if !found {
			if exhausted {
				c.server.drop(c, "it acknowledges nothing")
			}
			return
		}
		c.server.meters.pushes.WithLabelValues(out.kind).Inc()
		c.sending.Store(time.Now().UnixMilli())
		more, err := c.line.Send(&out)
		c.mu.Lock()
		if more {
			c.slow = false
			c.sending.Store(0)
			c.mu.Unlock()
			continue
		}
		c.pumping = false
		again := err == nil && !c.slow
		c.mu.Unlock()
		if again {
			c.look()
		}
		return
	}
}

// take puts what to write now into out. Without anything the pump is over, and the
// connection is looked at again when there is.
func (c *Conn) take(out *message) (found, exhausted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out.from = c.server.address
	found, wait, exhausted := c.queue.next(time.Now(), c.server.nextID, out)
	if found {
		c.slow = true // until it is known to be quick
	} else {
		c.pumping = false
		c.arm(wait)
	}
	return found, exhausted
}

// pushers write to connections that have something due, from as many goroutines as
// there are processors; none are left when nothing is due.
type pushers struct {
	mu      sync.Mutex // guards what follows
	due     []*Conn    // each once
	running int
	ended   sync.Cond // running has become 0; its lock is mu
}

func (p *pushers) add(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = append(p.due, c)
	if p.running < runtime.GOMAXPROCS(0) {
		p.running++
		go p.run()
	}
}

// wait returns when nothing is due.
func (p *pushers) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running > 0 {
		p.ended.Wait()
	}
}

func (p *pushers) run() {
	for {
		p.mu.Lock()
		if len(p.due) == 0 {
			p.running, p.due = p.running-1, nil
			p.ended.Broadcast()
			p.mu.Unlock()
			return
		}
		c := p.due[0]
		p.due[0] = nil
		p.due = p.due[1:]
		p.mu.Unlock()
		c.pump()
	}
}
