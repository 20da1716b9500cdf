package mux

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// Admission bounds the open connections of a server, in all and per address
// (SEC-20). It may be shared by several listeners; nil admits everybody.
type Admission struct {
	Total int64 // 0: no limit
	PerIP int   // 0: no limit; loopback is exempt

	refused atomic.Int64
	open    atomic.Int64

	mu   sync.Mutex // guards byIP
	byIP map[netip.Addr]int
}

// Open is the number of connections that are open.
func (a *Admission) Open() int64 { return a.open.Load() }

// Refused is the number of connections that were closed at once.
func (a *Admission) Refused() int64 { return a.refused.Load() }

// admit counts a connection until it is closed.
func (a *Admission) admit(c net.Conn) (net.Conn, bool) {
	if a == nil {
		return c, true
	}
	if n := a.open.Add(1); a.Total > 0 && n > a.Total {
		a.open.Add(-1)
		a.refused.Add(1)
		return c, false
	}
	ip := addrOf(c)
	if !a.enter(ip) {
		a.open.Add(-1)
		a.refused.Add(1)
		return c, false
	}
	return &counted{Conn: c, admission: a, ip: ip}, true
}

func addrOf(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (a *Admission) enter(ip netip.Addr) bool {
	if a.PerIP == 0 || ip.IsLoopback() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byIP == nil {
		a.byIP = map[netip.Addr]int{}
	}
	if a.byIP[ip] >= a.PerIP {
		return false
	}
	a.byIP[ip]++
	return true
}

func (a *Admission) leave(ip netip.Addr) {
	a.open.Add(-1)
	if a.PerIP == 0 || ip.IsLoopback() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byIP[ip]--; a.byIP[ip] <= 0 {
		delete(a.byIP, ip)
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	admission *Admission
	ip        netip.Addr
	once      sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.admission.leave(c.ip) })
	return c.Conn.Close()
}

// Bare returns the connection that reads and writes go to; nothing was read yet.
func (c *counted) Bare() (net.Conn, []byte) { return c.Conn, nil }

// SyscallConn lets servers set socket options.
func (c *counted) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, syscall.ENOTSUP
}
