// Package netfault stands between the members of a cluster on one machine: a TCP
// proxy in front of the peer port of each, and for every ordered pair of members a
// link whose bytes can be held up, delayed, lost for a while or cut.
//
// A lost packet is no lost byte in TCP: it comes later. So a link that is cut
// holds what it was given until it is mended, as a network does that loses
// everything, and a link with losses lets a piece wait as long as TCP waits before
// it sends again. Refuse closes connections instead.
//
// What always holds: the bytes of one connection stay in order; each direction of
// a connection obeys the link it travels, whoever opened the connection; a change
// of a link takes effect at once, also on what is under way.
//
// A Net owns the goroutines of its listeners and connections, from Listen to
// Close. Start reading at Net; pipe.go moves bytes, process.go finds out which
// member has opened a connection.
package netfault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Link is what happens to bytes from one member to another. The zero value does
// nothing to them.
type Link struct {
	Cut    bool          // they wait until the link is mended
	Refuse bool          // connections are closed, and new ones too
	Delay  time.Duration // every piece comes so much later
	Jitter time.Duration // and up to so much more or less
	Drop   float64       // share of pieces that are lost and sent again
}

// resend is how long a lost piece waits: TCP's shortest.
const resend = 200 * time.Millisecond

// Owner says which member has a socket, by its address and that of the proxy it is
// connected to.
type Owner func(socket, proxy netip.AddrPort) (member int, ok bool)

// Net is the links between some members. Its methods are safe for concurrent use.
type Net struct {
	owner Owner

	mu        sync.Mutex // guards what follows
	links     [][]Link
	changed   chan struct{} // closed at each change
	listeners []net.Listener
	open      map[*pair]struct{}
	random    *rand.Rand
	held      int64 // pieces that were lost once
	closed    bool

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns the links between so many members, all whole. The seed decides which
// pieces are lost and how delays spread.
func New(members int, seed uint64, owner Owner) *Net {
	n := &Net{
		owner: owner, links: make([][]Link, members), changed: make(chan struct{}),
		open: map[*pair]struct{}{}, random: rand.New(rand.NewPCG(seed, 7)),
	}
	for i := range n.links {
		n.links[i] = make([]Link, members)
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Listen accepts at front what is meant for a member whose port is back.
func (n *Net) Listen(member int, front, back string) error {
	l, err := (&net.ListenConfig{}).Listen(n.ctx, "tcp", front)
	if err != nil {
		return fmt.Errorf("proxy of member %d: %w", member, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners = append(n.listeners, l)
	n.wg.Go(func() { n.accept(l, member, back) })
	return nil
}

// Close ends every connection and waits for the goroutines.
func (n *Net) Close() {
	n.mu.Lock()
	n.closed = true
	for _, l := range n.listeners {
		_ = l.Close()
	}
	for p := range n.open {
		p.close()
	}
	n.mu.Unlock()
	n.cancel()
	n.wg.Wait()
}

// Set changes the link from one member to another, in this direction only.
func (n *Net) Set(from, to int, l Link) {
	n.change(func() { n.links[from][to] = l })
}

// Between changes the links between two members, in both directions.
func (n *Net) Between(a, b int, l Link) {
	n.change(func() { n.links[a][b], n.links[b][a] = l, l })
}

// Isolate changes all links of a member, in both directions.
func (n *Net) Isolate(member int, l Link) {
	n.change(func() {
		for i := range n.links {
			if i != member {
				n.links[i][member], n.links[member][i] = l, l
			}
		}
	})
}

// All changes all links.
func (n *Net) All(l Link) {
	n.change(func() {
		for i := range n.links {
			for j := range n.links[i] {
				if i != j {
					n.links[i][j] = l
				}
			}
		}
	})
}

// Heal makes all links whole.
func (n *Net) Heal() { n.All(Link{}) }

// Lost is the number of pieces that were lost and came later.
func (n *Net) Lost() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.held
}

func (n *Net) change(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
	close(n.changed)
	n.changed = make(chan struct{})
	for p := range n.open {
		if n.links[p.from][p.to].Refuse || n.links[p.to][p.from].Refuse {
			p.close()
		}
	}
}

// link returns a link as it is now, and what is closed when it may be another.
func (n *Net) link(from, to int) (Link, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links[from][to], n.changed
}

// fate is how long a piece is under way on a link.
func (n *Net) fate(l Link) time.Duration {
	if l.Delay == 0 && l.Jitter == 0 && l.Drop == 0 {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d := l.Delay
	if l.Jitter > 0 {
		d += time.Duration(n.random.Int64N(2*int64(l.Jitter)+1)) - l.Jitter
	}
	for again := resend; n.random.Float64() < l.Drop && again < 10*time.Second; again *= 2 {
		d += again
		n.held++
	}
	return max(d, 0)
}

func (n *Net) accept(l net.Listener, member int, back string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		n.wg.Go(func() { n.serve(conn, member, back) })
	}
}

// serve joins one connection with the port behind.
func (n *Net) serve(conn net.Conn, member int, back string) {
	defer conn.Close()
	from, ok := n.owner(address(conn.RemoteAddr()), address(conn.LocalAddr()))
	if !ok {
		return // it has gone already
	}
	if from != member && n.opens(from, member) != nil {
		return
	}
	up, err := (&net.Dialer{}).DialContext(n.ctx, "tcp", back)
	if err != nil {
		return
	}
	defer up.Close()
	p := &pair{from: from, to: member, a: conn, b: up, done: make(chan struct{})}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.open[p] = struct{}{}
	n.mu.Unlock()
	p.run(n)
	n.mu.Lock()
	delete(n.open, p)
	n.mu.Unlock()
}

var errRefused = errors.New("refused")

// opens waits until a connection can be opened: that takes both directions.
func (n *Net) opens(a, b int) error {
	for {
		there, changed := n.link(a, b)
		back, _ := n.link(b, a)
		switch {
		case there.Refuse, back.Refuse:
			return errRefused
		case !there.Cut && !back.Cut:
			return nil
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
			return n.ctx.Err()
		}
	}
}

func address(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
