package mux

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// lazy sets the read deadline of a connection. A server of HTTP moves it several
// times with every request, and nearly always away from a moment that has not
// come; each time would move a timer of the runtime. An earlier deadline than the
// one asked for stays, and when it comes the one asked for is looked at again.
type lazy struct {
	conn net.Conn

	mu    sync.Mutex // guards what follows
	want  time.Time  // zero: none
	armed time.Time  // what the connection has, never after want; zero: none
}

func (l *lazy) set(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = t
	if !l.armed.IsZero() && (t.IsZero() || !t.Before(l.armed)) {
		return nil
	}
	return l.arm()
}

func (l *lazy) arm() error {
	l.armed = l.want
	return l.conn.SetReadDeadline(l.want)
}

// early says whether err came from a deadline that is not the one asked for,
// which then is in force.
func (l *lazy) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.want.IsZero() && !time.Now().Before(l.want) {
		return false
	}
	return l.arm() == nil
}
