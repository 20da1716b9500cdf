package coretest

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// links are the connections between the nodes of a cluster. A link that is cut
// swallows what is sent, as a network does that has lost its way; connections
// that lost something end when it is mended.
type links struct {
	mu    sync.Mutex // guards what follows
	nodes map[string]int
	cuts  map[[2]int]bool
	mend  chan struct{} // closed when something is mended
}

func newLinks() *links {
	return &links{
		nodes: map[string]int{}, cuts: map[[2]int]bool{}, mend: make(chan struct{}),
	}
}

func (l *links) name(address string, node int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[address] = node
}

// set cuts or mends the link between two nodes, both ways.
func (l *links) set(a, b int, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts[[2]int{a, b}], l.cuts[[2]int{b, a}] = cut, cut
	if !cut {
		close(l.mend)
		l.mend = make(chan struct{})
	}
}

// state says whether a link is cut, and when to look again.
func (l *links) state(a, b int) (cut bool, mend <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts[[2]int{a, b}], l.mend
}

// dialer opens connections of a node.
func (l *links) dialer(from int) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		l.mu.Lock()
		to, ok := l.nodes[address]
		l.mu.Unlock()
		for ok {
			cut, mend := l.state(from, to)
			if !cut {
				break
			}
			select {
			case <-mend:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return &linkConn{Conn: c, links: l, from: from, to: to, closed: make(chan struct{})}, nil
	}
}

// linkConn is one connection over a link, as the node that opened it has it.
type linkConn struct {
	net.Conn
	links    *links
	from, to int

	mu     sync.Mutex // guards lost
	lost   bool       // bytes were
	once   sync.Once
	closed chan struct{}
}

func (c *linkConn) lose() bool {
	cut, _ := c.links.state(c.from, c.to)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = c.lost || cut
	return c.lost
}

// Write implements net.Conn.
func (c *linkConn) Write(b []byte) (int, error) {
	if !c.lose() {
		return c.Conn.Write(b)
	}
	if cut, _ := c.links.state(c.from, c.to); !cut {
		return 0, syscall.ECONNRESET
	}
	return len(b), nil
}

// Read implements net.Conn.
func (c *linkConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil || !c.lose() {
		return n, err
	}
	for {
		cut, mend := c.links.state(c.from, c.to)
		if !cut {
			return 0, syscall.ECONNRESET
		}
		select {
		case <-mend:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
}

// Close implements net.Conn.
func (c *linkConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
