package netfault

import (
	"net"
	"sync"
	"time"
)

const (
	pieceSize = 16 << 10
	// pieces is how many are under way on one direction of a connection: enough
	// for a fast link with a long delay.
	pieces = 256
)

// pair is one connection with the one behind it.
type pair struct {
	from, to int // who opened it, and to whom
	a, b     net.Conn
	done     chan struct{}
	once     sync.Once
}

// close ends both connections; what is under way is lost.
func (p *pair) close() {
	p.once.Do(func() {
		close(p.done)
		for _, c := range []net.Conn{p.a, p.b} {
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // a reset, as a machine that is gone gives
			}
			_ = c.Close()
		}
	})
}

// run moves bytes until one side ends.
func (p *pair) run(n *Net) {
	defer p.close()
	var wg sync.WaitGroup
	wg.Go(func() { p.move(n, p.a, p.b, p.from, p.to) })
	wg.Go(func() { p.move(n, p.b, p.a, p.to, p.from) })
	wg.Wait()
}

type piece struct {
	data []byte
	due  time.Time
}

// move carries one direction: what is read waits its time in a queue, and behind
// it the end of the stream.
func (p *pair) move(n *Net, src, dst net.Conn, from, to int) {
	queue := make(chan piece, pieces)
	var wg sync.WaitGroup
	wg.Go(func() { p.deliver(n, queue, dst, from, to) })
	defer wg.Wait()
	defer close(queue)
	for {
		buf := make([]byte, pieceSize)
		k, err := src.Read(buf)
		if k > 0 {
			l, _ := n.link(from, to)
			select {
			case queue <- piece{buf[:k], time.Now().Add(n.fate(l))}:
			case <-p.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver writes pieces in order, each when its time has come and the link is not
// cut, and ends the pair behind the last.
func (p *pair) deliver(n *Net, queue <-chan piece, dst net.Conn, from, to int) {
	defer p.close()
	for x := range queue {
		if !p.until(x.due) || !p.passes(n, from, to) {
			return
		}
		if _, err := dst.Write(x.data); err != nil {
			return
		}
	}
	p.passes(n, from, to) // nor does the end get through a link that is cut
}

// until waits for a time; false when the pair has ended.
func (p *pair) until(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}

// passes waits until the link is not cut.
func (p *pair) passes(n *Net, from, to int) bool {
	for {
		l, changed := n.link(from, to)
		if !l.Cut {
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false
		}
	}
}
