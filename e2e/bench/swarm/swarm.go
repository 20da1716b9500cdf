package swarm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Handler is told what happens to the clients; a nil func is not called.
type Handler struct {
	Ready  func(c *Client)            // the handshake and the script are over
	Push   func(c *Client, m Message) // a push, or the body of a long poll
	Answer func(c *Client, m Message) // to Client.Call, after Ready
	Lost   func(c *Client, err error) // the connection ended, and not by Close
}

// Message is what is known of a message that streamed by.
type Message struct {
	Size   int  // bytes
	Marked bool // it holds the marker of the swarm
	OK     bool // of an answer: it says success
	At     time.Time
}

// Swarm is a number of clients. Its methods are safe for concurrent use.
type Swarm struct {
	handler Handler
	epoll   int
	network [2]byte // of the source addresses
	event   int     // written by Close
	slots   []atomic.Pointer[Client]
	used    atomic.Int64
	marker  atomic.Pointer[[]byte]
	opening chan struct{} // handshakes under way
	done    chan struct{}
	once    sync.Once
	// Of the goroutine:
	scratch []byte
	waiting []*Client // for the time blindly granted to a setup, the oldest first
}

// blind is how long a client waits when its peer does not say that a setup is
// settled (NAC-CON-07).
const blind = 100 * time.Millisecond

// handshakes bounds the connections that are not ready yet, so that the queue of
// the listener does not overflow.
const handshakes = 128

// perAddress is how many clients share one source address.
const perAddress = 4000

// New starts a swarm of at most size clients, opened one by one.
func New(size int, h Handler) (*Swarm, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	s := &Swarm{
		handler: h, epoll: ep, network: [2]byte{byte(1 + rand.N(254)), byte(rand.N(256))}, event: ev, slots: make([]atomic.Pointer[Client], size),
		opening: make(chan struct{}, handshakes), done: make(chan struct{}),
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		_ = unix.Close(ep)
		_ = unix.Close(ev)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	go s.run()
	return s, nil
}

// Mark sets the bytes that messages are searched for from now on, at most
// maxMarker of them.
func (s *Swarm) Mark(marker []byte) { s.marker.Store(&marker) }

// Len is the number of clients that were opened.
func (s *Swarm) Len() int { return int(s.used.Load()) }

// Client returns the client of an index below Len.
func (s *Swarm) Client(n int) *Client { return s.slots[n].Load() }

// Close ends all connections and waits for the goroutine. The peer sees resets,
// so that no port is kept waiting.
func (s *Swarm) Close() {
	s.once.Do(func() {
		var one [8]byte
		one[0] = 1
		_, _ = unix.Write(s.event, one[:])
		<-s.done
		for i := range s.Len() {
			if c := s.Client(i); c != nil {
				c.shut()
			}
		}
		_ = unix.Close(s.epoll)
		_ = unix.Close(s.event)
	})
}

// run reads whatever there is to read.
func (s *Swarm) run() {
	defer close(s.done)
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 64<<10) // stays in the cache
	for {
		timeout := -1
		if len(s.waiting) > 0 {
			timeout = int(blind / time.Millisecond / 10)
		}
		n, err := unix.EpollWait(s.epoll, events, timeout)
		s.proceed()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if e.Fd < 0 {
				return
			}
			if c := s.slots[e.Fd].Load(); c != nil {
				c.read(buf)
			}
		}
	}
}

// proceed lets clients go on that have waited.
func (s *Swarm) proceed() {
	for len(s.waiting) > 0 {
		c := s.waiting[0]
		if time.Since(c.since) < blind {
			return
		}
		s.waiting = s.waiting[1:]
		if m, ok := c.state.(*sdk); ok && !c.lost.Load() {
			if err := m.proceed(); err != nil {
				c.fail(err)
			}
		}
	}
}

// machine turns what was read into what is told.
type machine interface {
	// greeting is what is sent first.
	greeting() []byte
	feed(c *Client, b []byte, at time.Time) error
}

// Client is one connection. Its methods are safe for concurrent use.
type Client struct {
	N     int // its index in the swarm
	swarm *Swarm
	fd    int
	state machine
	lost  atomic.Bool
	// Of the goroutine of the swarm:
	ready bool
	since time.Time // it waits

	mu   sync.Mutex // guards open
	open bool
}

// dial opens a connection in the next slot and sends the greeting. Unless it is
// ready by that, it waits while too many others are opening.
func (s *Swarm) dial(addr string, m machine, ready bool) (*Client, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || !to.Addr().Is4() {
		return nil, fmt.Errorf("want an IPv4 address and a port, got %q", addr)
	}
	if !ready {
		select {
		case s.opening <- struct{}{}:
		case <-s.done:
			return nil, net.ErrClosed
		}
	}
	n := int(s.used.Add(1)) - 1
	if n >= len(s.slots) {
		s.used.Add(-1)
		return nil, fmt.Errorf("swarm of %d is full", len(s.slots))
	}
	fd, err := s.connect(to, n)
	if err != nil {
		return nil, err
	}
	c := &Client{N: n, swarm: s, fd: fd, state: m, ready: ready, open: true}
	s.slots[n].Store(c)
	if err := c.Send(m.greeting()); err != nil {
		return nil, err
	}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n)}); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return c, nil
}

// connect dials, from one of several addresses when the peer is on loopback: they
// have more ports together than one has, and no port is used again that another
// swarm has just left.
func (s *Swarm) connect(to netip.AddrPort, n int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	fail := func(what string, err error) (int, error) {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if to.Addr().IsLoopback() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		from := &unix.SockaddrInet4{Addr: [4]byte{127, s.network[0], s.network[1], byte(2 + n/perAddress%200)}}
		if err := unix.Bind(fd, from); err != nil {
			return fail("bind", err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return fail("connect", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fail("non-blocking", err)
	}
	return fd, nil
}

// errFull reports that the peer reads too little.
var errFull = errors.New("socket is full")

// Send writes b at once or fails.
func (c *Client) Send(b []byte) error {
	n, err := unix.Write(c.fd, b)
	if errors.Is(err, unix.EAGAIN) || err == nil && n < len(b) {
		return errFull
	}
	return err
}

// Close ends the connection with a reset; Lost is not called.
func (c *Client) Close() {
	c.lost.Store(true)
	c.shut()
}

func (c *Client) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open {
		c.open = false
		_ = unix.Close(c.fd)
	}
}

func (c *Client) read(buf []byte) {
	if c.lost.Load() {
		return
	}
	n, err := unix.Read(c.fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return
	case err == nil && n == 0:
		err = errors.New("closed by the peer")
	case err == nil:
		err = c.state.feed(c, buf[:n], time.Now())
	}
	if err != nil {
		c.fail(err)
	}
}

// fail ends the connection for an error.
func (c *Client) fail(err error) {
	if c.lost.Swap(true) {
		return
	}
	c.settle()
	_ = unix.EpollCtl(c.swarm.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	if f := c.swarm.handler.Lost; f != nil {
		f(c, err)
	}
}

// settle makes room for the next handshake, once.
func (c *Client) settle() bool {
	if c.ready {
		return false
	}
	c.ready = true
	<-c.swarm.opening
	return true
}

// became says that the client is ready.
func (c *Client) became() {
	if c.settle() && c.swarm.handler.Ready != nil {
		c.swarm.handler.Ready(c)
	}
}
