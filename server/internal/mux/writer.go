package mux

import (
	"bytes"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/easynet-cn/batata/core/plugin"
)

// writeLimit is how long a client may take to read an answer that does not fit
// into the buffers of its connection.
const writeLimit = 5 * time.Second

// writer sends answers to parked connections, one after another, and never waits
// for a client: what does not fit at once is sent by a goroutine of its own. It
// has a goroutine while there is something to send (ENG-13).
type writer struct {
	lot *lot

	// Of the goroutine.
	reply  *plugin.Response // encoded in bytes
	second int64            // of its date
	bytes  bytes.Buffer
	try    func(fd uintptr) bool // one attempt to write bytes
	n      int
	err    error

	mu      sync.Mutex // guards what follows
	queue   []sending  // at most one for each connection
	running bool
	done    *sync.Cond // running has become false
}

type sending struct {
	to    *Parked
	reply *plugin.Response
}

// newWriters returns one for each processor.
func newWriters(l *lot) []*writer {
	out := make([]*writer, runtime.GOMAXPROCS(0))
	for i := range out {
		w := &writer{lot: l}
		w.done = sync.NewCond(&w.mu)
		w.try = func(fd uintptr) bool {
			w.n, w.err = syscall.Write(int(fd), w.bytes.Bytes())
			return true // whatever came of it
		}
		out[i] = w
	}
	return out
}

// writer chooses one by turns.
func (l *lot) writer() *writer {
	return l.writers[int(l.turn.Add(1))%len(l.writers)]
}

func (w *writer) put(p *Parked, r *plugin.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, sending{p, r})
	if !w.running {
		w.running = true
		w.lot.group.Go(w.run)
	}
}

// wait returns when there is nothing to send.
func (w *writer) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running {
		w.done.Wait()
	}
}

func (w *writer) run() {
	var batch []sending
	for {
		w.mu.Lock()
		batch, w.queue = w.queue, batch[:0]
		if len(batch) == 0 {
			w.running, w.queue, w.reply = false, nil, nil
			w.done.Broadcast()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		for i := range batch {
			w.send(batch[i].to, batch[i].reply)
			batch[i] = sending{}
		}
	}
}

// send sends one answer.
func (w *writer) send(p *Parked, r *plugin.Response) {
	now := time.Now()
	w.encode(r, now)
	w.n, w.err = 0, syscall.EAGAIN
	if c, ok := p.conn.beneath.(syscall.Conn); ok {
		raw, err := c.SyscallConn()
		if err == nil {
			err = raw.Write(w.try)
		}
		if err != nil { // closed
			p.wrote(now, err)
			return
		}
	}
	w.n = max(0, w.n)
	switch {
	case w.n == w.bytes.Len():
		p.wrote(now, nil)
	case w.err == nil || w.err == syscall.EAGAIN || w.err == syscall.EINTR: //nolint:errorlint // what the system call says
		rest := bytes.Clone(w.bytes.Bytes()[w.n:])
		w.lot.group.Go(func() { p.finish(rest) })
	default:
		p.wrote(now, w.err)
	}
}

// finish sends what did not fit.
func (p *Parked) finish(rest []byte) {
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeLimit))
	_, err := p.conn.Write(rest)
	_ = p.conn.SetWriteDeadline(time.Time{})
	p.wrote(time.Now(), err)
}

// encode makes the bytes that go out for r at this second: those of net/http for
// the same answer.
func (w *writer) encode(r *plugin.Response, now time.Time) {
	if s := now.Unix(); w.reply != r || w.second != s {
		w.reply, w.second = r, s
		w.bytes.Reset()
		appendReply(&w.bytes, r, now)
	}
}

func appendReply(b *bytes.Buffer, r *plugin.Response, now time.Time) {
	b.WriteString("HTTP/1.1 ")
	b.WriteString(strconv.Itoa(r.Status))
	b.WriteByte(' ')
	b.WriteString(http.StatusText(r.Status))
	b.WriteString("\r\n")
	_ = r.Header.Write(b) // a buffer takes everything
	b.WriteString("Date: ")
	b.Write(now.UTC().AppendFormat(b.AvailableBuffer(), http.TimeFormat))
	b.WriteString("\r\nContent-Length: ")
	b.WriteString(strconv.Itoa(len(r.Body)))
	b.WriteString("\r\n\r\n")
	b.Write(r.Body)
}
