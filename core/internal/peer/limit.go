package peer

import (
	"net"
	"strings"
	"sync"
	"time"
)

// limitListener bounds connections: those above wait in the queue of the
// system.
type limitListener struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &limitConn{Conn: c, room: l.room}, nil
}

type limitConn struct {
	net.Conn
	once sync.Once
	room chan struct{}
}

// Close implements net.Conn.
func (c *limitConn) Close() error {
	c.once.Do(func() { <-c.room })
	return c.Conn.Close()
}

// warned says whether a message was said lately.
type warned struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

const (
	warnEvery = 30 * time.Second
	maxWarned = 64
)

func (w *warned) now(text string) bool {
	if i := strings.IndexByte(text, '['); i > 0 {
		text = text[:i]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Sub(w.last[text]) < warnEvery {
		return false
	}
	if w.last == nil || len(w.last) >= maxWarned {
		w.last = map[string]time.Time{}
	}
	w.last[text] = now
	return true
}
