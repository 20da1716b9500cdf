package mux

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lot keeps the connections whose request is parked, and those that were answered
// there and have not asked again.
//
// It owns a goroutine for each of them, which reads one byte and has a stack of
// the smallest size, and those of writers while there is something to write.
type lot struct {
	mux     *Mux
	idle    time.Duration // between an answer and the next request; 0: no limit
	writers []*writer
	turn    atomic.Uint32 // of writers
	group   sync.WaitGroup

	mu     sync.Mutex // guards parked and closed
	parked map[*Parked]struct{}
	closed bool
}

// Park is plugin.Parker for the request r, whose answer would go to w.
func (m *Mux) Park(w http.ResponseWriter, r *http.Request, until time.Time, over func(gone bool)) (*Parked, bool) {
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Close || r.Method == http.MethodHead || r.TLS != nil {
		return nil, false
	}
	h, ok := w.(http.Hijacker)
	if !ok || !consumed(r) || !m.lot.open() {
		return nil, false
	}
	conn, buf, err := h.Hijack()
	if err != nil {
		return nil, false
	}
	c, ok := conn.(*peeked)
	if !ok {
		c = newPeeked(conn)
	}
	if n := buf.Reader.Buffered(); n > 0 {
		ahead, _ := buf.Peek(n) // they are there
		c.rest = append(append([]byte(nil), ahead...), c.rest...)
	}
	p := &Parked{lot: m.lot, conn: c, over: over, pipelined: len(c.rest) > 0, until: until}
	_ = c.SetReadDeadline(until) // a dead connection shows at the next read
	if !m.lot.add(p) {
		p.lost()
	}
	return p, true
}

// consumed says whether the body was read to its end, so that what follows on the
// connection is the next request.
func consumed(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	var b [1]byte
	n, err := r.Body.Read(b[:])
	return n == 0 && errors.Is(err, io.EOF)
}

func newLot(m *Mux, idle time.Duration) *lot {
	l := &lot{mux: m, idle: idle, parked: map[*Parked]struct{}{}}
	l.writers = newWriters(l)
	return l
}

func (l *lot) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed
}

// add starts the reader, and says whether the lot is open still.
func (l *lot) add(p *Parked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.parked[p] = struct{}{}
	l.group.Go(p.read)
	return true
}

func (l *lot) forget(p *Parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parked, p)
}

// flush lets the answers out that were given so far; nothing is parked any more.
func (l *lot) flush() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for _, w := range l.writers {
		w.wait()
	}
}

// close ends all connections and joins what runs.
func (l *lot) close() {
	l.mu.Lock()
	left := slices.Collect(maps.Keys(l.parked))
	l.mu.Unlock()
	for _, p := range left {
		p.lost()
	}
	l.group.Wait()
}
