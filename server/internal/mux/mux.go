// Package mux shares one TCP port between HTTP/1.1, gRPC and TLS (architecture
// §5.4a).
//
// Each accepted connection is counted, then looked at in a goroutine of its own:
// the first byte of a TLS record starts a handshake, the preface of HTTP/2 goes
// to gRPC, everything else to HTTP. Whoever says nothing for a while is closed.
// Over TLS the negotiated protocol decides, and without one the first bytes
// inside do. HTTP/2 that is not gRPC is not served.
//
// A request over HTTP can be parked: its connection leaves the server of HTTP,
// with its goroutine and buffers, until it was answered and the next request
// begins (GOAL-16).
//
// A Mux owns the goroutine of Serve, one per connection that is being looked at
// or parked, and those that send answers; Close ends and joins them. The servers behind HTTP and GRPC own the
// connections they accept.
package mux

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Options of a Mux.
type Options struct {
	// TLS, when not nil, is spoken with clients that begin a handshake.
	TLS *tls.Config
	// Plaintext lets clients without TLS in although there is TLS.
	Plaintext bool
	// OnlyGRPC sends everything to gRPC.
	OnlyGRPC bool
	Admit    *Admission // nil: no limit
	Logger   *zap.Logger
	// Idle is how long a client may take for its next request after the answer to
	// a parked one; 0: no limit.
	Idle time.Duration
}

// Mux splits one listener into two.
type Mux struct {
	listener net.Listener
	options  Options
	tls      *tls.Config
	http     *queue
	grpc     *queue
	lot      *lot

	mu      sync.Mutex // guards looking and closed
	looking map[net.Conn]struct{}
	closed  bool
	group   sync.WaitGroup
}

const (
	peekLimit = 5 * time.Second
	// preface begins every HTTP/2 connection without TLS.
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	tlsRecord = 0x16
)

// New returns a mux over a bound listener. It accepts nothing before Serve.
func New(l net.Listener, o Options) *Mux {
	m := &Mux{
		listener: l, options: o, tls: o.negotiate(),
		http: newQueue(l.Addr()), grpc: newQueue(l.Addr()), looking: map[net.Conn]struct{}{},
	}
	m.lot = newLot(m, o.Idle)
	return m
}

// HTTP is the listener of HTTP/1.1 connections.
func (m *Mux) HTTP() net.Listener { return m.http }

// GRPC is the listener of gRPC connections.
func (m *Mux) GRPC() net.Listener { return m.grpc }

// Serve accepts until Close and returns nil then.
func (m *Mux) Serve() error {
	pause := time.Duration(0)
	for {
		c, err := m.listener.Accept()
		if err != nil {
			if m.isClosed() {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { // out of files, most likely
				pause = min(max(2*pause, 5*time.Millisecond), time.Second)
				m.options.Logger.Warn("accept failed, tried again", zap.Error(err), zap.Duration("elapsed", pause))
				wait(pause)
				continue
			}
			return err
		}
		pause = 0
		c, ok := m.options.Admit.admit(c)
		if !ok || !m.track(c) {
			_ = c.Close()
			continue
		}
		m.group.Go(func() { m.look(c) })
	}
}

func wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// Close stops accepting, closes the connections that are being looked at, and
// ends the listeners of both servers. Connections they have are theirs. Parked
// ones get the answers that were given, then all of them are closed.
func (m *Mux) Close() error {
	m.mu.Lock()
	was := m.closed
	m.closed = true
	for c := range m.looking {
		_ = c.Close()
	}
	m.mu.Unlock()
	if was {
		return nil
	}
	err := m.listener.Close()
	m.group.Wait()
	m.lot.flush()
	m.http.end()
	m.grpc.end()
	m.lot.close()
	return err
}

func (m *Mux) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *Mux) track(c net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.looking[c] = struct{}{}
	return true
}

func (m *Mux) untrack(c net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.looking, c)
}

// look decides about one connection and hands it on.
func (m *Mux) look(c net.Conn) {
	to, conn := m.route(c)
	m.untrack(c)
	if to == nil || !to.give(conn) {
		_ = c.Close()
	}
}

// route returns where a connection goes and the form in which it goes there.
func (m *Mux) route(c net.Conn) (*queue, net.Conn) {
	if m.options.OnlyGRPC && m.options.TLS == nil {
		return m.grpc, c
	}
	p := newPeeked(c)
	if p.SetDeadline(time.Now().Add(peekLimit)) != nil {
		return nil, nil
	}
	first, err := p.peek(1)
	if err != nil {
		return nil, nil
	}
	if first[0] == tlsRecord && m.options.TLS != nil {
		return m.routeTLS(p)
	}
	if m.options.TLS != nil && !m.options.Plaintext {
		return nil, nil
	}
	return m.inside(p)
}

// inside decides by the first bytes of a connection.
func (m *Mux) inside(p *peeked) (*queue, net.Conn) {
	isGRPC := m.options.OnlyGRPC
	for n := 1; !isGRPC; n++ {
		b, err := p.peek(n)
		if err != nil {
			return nil, nil
		}
		if b[n-1] != preface[n-1] {
			break
		}
		isGRPC = n == len(preface)
	}
	if p.SetDeadline(time.Time{}) != nil {
		return nil, nil
	}
	if isGRPC {
		return m.grpc, p
	}
	return m.http, p
}

// negotiate returns a configuration that answers HTTP/1.1 to whoever offers it,
// and HTTP/2 to those who offer nothing else. It is made once: sessions resume
// only with the keys of the configuration that began them.
func (o *Options) negotiate() *tls.Config {
	if o.TLS == nil {
		return nil
	}
	speak := func(protocol string) *tls.Config {
		c := o.TLS.Clone()
		c.NextProtos = []string{protocol}
		return c
	}
	h1, h2, onlyGRPC := speak("http/1.1"), speak("h2"), o.OnlyGRPC
	c := o.TLS.Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case slices.Contains(hello.SupportedProtos, "http/1.1") && !onlyGRPC:
			return h1, nil
		case slices.Contains(hello.SupportedProtos, "h2"):
			return h2, nil
		}
		return nil, nil //nolint:nilnil // as it stands
	}
	return c
}

func (m *Mux) routeTLS(p *peeked) (*queue, net.Conn) {
	c := tls.Server(p, m.tls)
	if err := c.HandshakeContext(context.Background()); err != nil { // the deadline of p bounds it
		m.options.Logger.Debug("handshake failed", zap.String("client", p.RemoteAddr().String()), zap.Error(err))
		return nil, nil
	}
	switch c.ConnectionState().NegotiatedProtocol {
	case "h2":
		return m.grpc, cleared(c)
	case "http/1.1":
		return m.http, cleared(c)
	}
	return m.inside(newPeeked(c))
}

// cleared takes the deadline of the handshake off.
func cleared(c net.Conn) net.Conn {
	_ = c.SetDeadline(time.Time{}) // a dead connection shows at the next read
	return c
}

// peeked is a connection whose first bytes have been looked at.
type peeked struct {
	net.Conn
	beneath  net.Conn // what reads and writes go to
	deadline lazy
	rest     []byte // looked at and not read yet
}

func newPeeked(c net.Conn) *peeked {
	p := &peeked{Conn: c, beneath: c}
	if n, ok := c.(*counted); ok {
		p.beneath = n.Conn
	}
	p.deadline.conn = p.beneath
	return p
}

// peek returns the first n bytes, reading what is missing.
func (p *peeked) peek(n int) ([]byte, error) {
	for len(p.rest) < n {
		var chunk [len(preface)]byte
		got, err := p.beneath.Read(chunk[:len(preface)-len(p.rest)])
		p.rest = append(p.rest, chunk[:got]...)
		if err != nil && len(p.rest) < n {
			return nil, err
		}
	}
	return p.rest[:n], nil
}

// Read gives the bytes that were looked at first.
func (p *peeked) Read(b []byte) (int, error) {
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		if p.rest = p.rest[n:]; len(p.rest) == 0 {
			p.rest = nil
		}
		return n, nil
	}
	for {
		n, err := p.beneath.Read(b)
		if err == nil || n > 0 || !p.deadline.early(err) {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (p *peeked) Write(b []byte) (int, error) { return p.beneath.Write(b) }

// SetReadDeadline implements net.Conn.
func (p *peeked) SetReadDeadline(t time.Time) error { return p.deadline.set(t) }

// SetDeadline implements net.Conn.
func (p *peeked) SetDeadline(t time.Time) error {
	return errors.Join(p.deadline.set(t), p.beneath.SetWriteDeadline(t))
}

// Bare returns the connection that reads and writes go to, without a deadline, and
// what was looked at: for a server that does without this one's deadlines.
func (p *peeked) Bare() (net.Conn, []byte) {
	rest := p.rest
	p.rest = nil
	_ = p.beneath.SetDeadline(time.Time{}) // a dead connection shows at the next read
	return p.beneath, rest
}

// SyscallConn lets servers set socket options.
func (p *peeked) SyscallConn() (syscall.RawConn, error) {
	if s, ok := p.beneath.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, syscall.ENOTSUP
}
