package rpc

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/peer"
)

// What one connection may hold.
const (
	maxStreams   = 128 // calls that are open or whose handler still runs (SEC-20)
	streamWindow = 256 << 10
	connWindow   = 1 << 20
	maxHeld      = 32 << 20 // of messages that are not whole, or not taken yet
	maxControl   = 64 << 10 // frames without a call that it does not read
)

// conn is one connection. The goroutine of serve reads it, and alone closes it.
type conn struct {
	server *Server
	net    net.Conn        // to close it
	sock   net.Conn        // to read and write it
	raw    syscall.RawConn // of sock; nil: it has none, as with TLS
	early  []byte          // read already
	peer   *peer.Peer
	ctx    context.Context //nolint:containedctx // what the calls of the connection derive from
	ended  func()

	// Of the goroutine that reads.
	headers  headers
	rest     []byte // the beginning of a frame
	block    []byte // of headers that go on
	going    frame  // the head of those; its stream is 0: none do
	greeted  bool   // the first frame came
	answered bool   // all that was read will be answered
	broken   error
	gone     []*stream // ended by the client, their handlers do not know yet

	seen atomic.Int64 // the tick in which something was read

	writer // what goes out; has the lock for everything below

	streams  []*stream // that are open
	told     []*stream // whose receiver is to be told
	orphans  int       // handlers of streams that are not
	last     uint32    // stream
	received int64     // window that the client has left
	owed     int64     // of the window, not given back yet
	held     int
	calm     budget
	dead     bool // nothing is written any more
	leaving  leaving
	idle     int64 // the tick since which there is no stream
	pinged   int64 // the tick of our question; 0: it was answered
}

// leaving is how far a connection is from its end.
type leaving uint8

const (
	staying leaving = iota
	asked           // told to open no more streams; the ping tells what came before
	refusing
)

// unwrapped is implemented by connections that stand before another one.
type unwrapped interface {
	// Bare returns what reads and writes go to, without deadline, and what was read
	// already.
	Bare() (net.Conn, []byte)
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		server: s, net: nc, sock: nc, received: connWindow, ended: func() {},
		peer: &peer.Peer{Addr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr()},
	}
	if u, ok := nc.(unwrapped); ok {
		c.sock, c.early = u.Bare()
	}
	if sc, ok := c.sock.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.window, c.initial, c.frame = baseWindow, baseWindow, minFrame
	c.calm = newBudget()
	tick := s.clock.Load()
	c.seen.Store(tick)
	c.idle = tick
	return c
}

// serve reads until the end of the connection.
func (c *conn) serve() {
	defer c.end()
	c.ctx = context.Background()
	if hook := c.server.settings.Conn; hook != nil {
		c.ctx, c.ended = hook(c.ctx, c.peer.Addr)
	}
	_ = c.sock.SetReadDeadline(time.Now().Add(c.server.settings.times.greet))
	if ok, err := c.greet(); err != nil {
		return
	} else if !ok {
		c.goAway(&fault{codeProtocol, "no preface"})
		return
	}
	c.mu.Lock()
	b := c.buf()
	b = appendFrame(b, 3*6, kindSettings, 0, 0)
	b = appendSetting(b, settingStreams, maxStreams)
	b = appendSetting(b, settingWindow, streamWindow)
	b = appendSetting(b, settingHeaders, maxHeaders)
	c.keep(appendWindow(b, 0, connWindow-baseWindow))
	c.flush()
	err := c.read()
	if f, ok := errors.AsType[*fault](err); ok {
		c.goAway(f)
	}
}

// goAway tells the client what it did wrong. What it still sends is read for a
// moment, since unread bytes would make the system drop what we said.
func (c *conn) goAway(f *fault) {
	c.server.logger.Debug("connection refused", zap.String("client", c.peer.Addr.String()),
		zap.String("reason", f.why), zap.Uint32("code", uint32(f.code)))
	c.mu.Lock()
	if !c.dead {
		c.keep(appendGoAway(c.buf(), c.last, f.code, f.why))
	}
	c.leaving = refusing
	c.flush()
	_ = c.sock.SetReadDeadline(time.Now().Add(c.linger()))
	var drop [1024]byte
	for range 1 << 10 {
		if _, err := c.sock.Read(drop[:]); err != nil {
			return
		}
	}
}

func (c *conn) linger() time.Duration {
	return min(250*time.Millisecond, c.server.settings.times.greet)
}

// end takes down what is left. It runs once, when nothing is read any more.
func (c *conn) end() {
	c.mu.Lock()
	c.dead = true
	streams := slices.Concat(c.gone, c.streams)
	for _, s := range c.streams {
		c.orphan(s)
	}
	c.streams, c.sendq, c.gone = nil, nil, nil
	c.mu.Unlock()
	for _, s := range streams {
		s.lost(errGone)
	}
	_ = c.net.Close()
	c.ended()
	c.server.forget(c)
}

// cut ends a connection at once: its reader wakes and ends it.
func (c *conn) cut() {
	c.mu.Lock()
	c.dead = true
	c.mu.Unlock()
	_ = c.sock.SetDeadline(time.Unix(1, 0))
}

// retire tells the client to open no more streams, and asks for an answer, so that
// those it opened before it knew are served.
func (c *conn) retire() {
	c.mu.Lock()
	if c.leaving == staying && !c.dead {
		c.leaving = asked
		b := appendGoAway(c.buf(), maxWindow, codeNone, "")
		c.keep(append(appendFrame(b, 8, kindPing, 0, 0), pingLeave[:]...))
	}
	c.flush()
}

// retired refuses new streams and ends the connection with its last one.
func (c *conn) retired() {
	c.mu.Lock()
	if c.leaving == asked && !c.dead {
		c.leaving = refusing
		c.keep(appendGoAway(c.buf(), c.last, codeNone, ""))
	}
	c.flush()
}

// Data of our pings.
var (
	pingLeave = [8]byte{'l', 'e', 'a', 'v', 'e'}      //nolint:gochecknoglobals // a constant
	pingAlive = [8]byte{'a', 'l', 'i', 'v', 'e', '?'} //nolint:gochecknoglobals // a constant
)

// look is what is done from time to time.
func (c *conn) look() {
	t, now := &c.server.settings.times, c.server.clock.Load()
	c.mu.Lock()
	c.calm.refill()
	seen := c.seen.Load()
	switch {
	case c.dead:
	case c.pinged != 0 && seen < c.pinged && now-c.pinged >= c.server.ticks(t.pong):
		c.mu.Unlock()
		c.cut()
		return
	case c.pinged != 0 && seen >= c.pinged:
		c.pinged = 0
	case c.pinged == 0 && now-seen >= c.server.ticks(t.ping):
		c.pinged = now
		c.keep(append(appendFrame(c.buf(), 8, kindPing, 0, 0), pingAlive[:]...))
	}
	if len(c.streams) == 0 && c.leaving == staying && now-c.idle >= c.server.ticks(t.idle) {
		c.mu.Unlock()
		c.retire()
		return
	}
	c.stalled(now)
	c.flush()
}

// stalled resets streams whose client has not taken the end of an answer for too
// long; mu is held.
func (c *conn) stalled(now int64) {
	for _, s := range slices.Clone(c.streams) {
		if s.ending && now-s.progress >= c.server.ticks(c.server.settings.times.write) {
			c.keep(appendReset(c.buf(), s.id, codeCancel))
			c.remove(s)
		}
	}
}

// budget is how much work without a call a client may make: frames that are to be
// answered or that only end something. Calls and time give it back.
type budget struct{ left int }

const (
	budgetMost = 2000
	budgetTick = 500
	budgetCall = 4
)

func newBudget() budget { return budget{budgetMost} }

func (b *budget) refill() { b.left = min(budgetMost, b.left+budgetTick) }

func (b *budget) earn() { b.left = min(budgetMost, b.left+budgetCall) }

func (b *budget) spend() bool {
	b.left--
	return b.left >= 0
}
