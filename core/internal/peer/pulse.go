package peer

import (
	"net"
	"sync/atomic"
	"time"
)

// pulse is when something was heard last. It begins with a beat.
type pulse struct {
	begun time.Time
	last  atomic.Int64 // nanoseconds after begun
}

func (p *pulse) beat() { p.last.Store(int64(time.Since(p.begun))) }

// silence is how long nothing was heard.
func (p *pulse) silence() time.Duration { return time.Since(p.begun) - time.Duration(p.last.Load()) }

// listened is a connection that notes when bytes arrive.
type listened struct {
	net.Conn
	heard *pulse
}

// Read implements net.Conn.
func (l *listened) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.beat()
	}
	return n, err
}
