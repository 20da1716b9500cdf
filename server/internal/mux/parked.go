package mux

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
)

// Parked is a connection whose request waits for its answer without a handler,
// and then for the next request. It ends when that begins, which gives it back to
// the server of HTTP, or when it is closed.
type Parked struct {
	lot       *lot
	conn      *peeked
	over      func(gone bool)
	pipelined bool    // the next request, or a part of it, came with this one
	one       [1]byte // what the reader reads into

	mu       sync.Mutex    // guards what follows, and the read deadline of conn
	until    time.Time     // for the answer, then for the next request; zero: no limit
	told     bool          // over was called, or will not be
	answered bool          // an answer was given
	written  bool          // and sent
	given    bool          // the connection is the server's again
	dead     bool          // the connection is closed
	turn     chan struct{} // closed when written or dead; nil: nobody waits for that
}

var _ plugin.Parked = (*Parked)(nil)

// Answer implements plugin.Parked.
func (p *Parked) Answer(r *plugin.Response) {
	p.mu.Lock()
	defer p.mu.Unlock() // after put: who is dead starts no writer any more
	if !p.answered && !p.dead {
		p.lot.writer().put(p, r)
	}
	p.answered, p.told = true, true
}

// Abort closes the connection without an answer: for the plugin its client is gone.
func (p *Parked) Abort() {
	p.mu.Lock()
	p.answered = true
	p.mu.Unlock()
	p.lost()
}

// read waits for the next request, or the end of the client.
func (p *Parked) read() {
	for {
		err := p.conn.more(p.one[:])
		switch {
		case err == nil:
			p.follow()
			return
		case !errors.Is(err, os.ErrDeadlineExceeded):
			p.lost()
			return
		}
		switch p.late() {
		case waits:
		case expired:
			p.tell(false)
		case ready:
			p.giveBack()
			return
		case silent:
			p.lost()
			return
		}
	}
}

// What a read deadline that has come means.
type lateness uint8

const (
	waits   lateness = iota + 1 // nothing yet
	expired                     // the request has waited long enough
	ready                       // the next request was there before
	silent                      // there was none for too long
)

// late looks what the read deadline was for.
func (p *Parked) late() lateness {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.written:
		_ = p.conn.SetReadDeadline(time.Time{})
		if p.expire() {
			return expired
		}
	case p.dead:
		return silent
	case p.pipelined:
		p.given = true
		return ready
	case !p.until.IsZero() && !time.Now().Before(p.until):
		return silent
	}
	return waits // when written, the deadline was moved as it came
}

// expire says whether the plugin is to be told that the time is over; mu is held.
func (p *Parked) expire() bool {
	was := p.told
	p.told = true
	return !was
}

// follow has the next request served, whose first byte is there, after this one.
func (p *Parked) follow() {
	p.mu.Lock()
	if !p.written && !p.dead {
		p.await()
	}
	give := !p.dead
	p.given = give
	p.mu.Unlock()
	if give {
		p.giveBack()
	}
}

// await returns when the answer was sent, or the connection closed; mu is held,
// but for the time between.
func (p *Parked) await() {
	turn := make(chan struct{})
	p.turn = turn
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-turn:
		return
	case <-timer.C:
	}
	p.mu.Lock()
	tell := p.expire()
	p.mu.Unlock()
	if tell {
		p.tell(false)
	}
	<-turn
}

// settled lets the next request have its turn; mu is held.
func (p *Parked) settled() {
	if p.turn != nil {
		close(p.turn)
		p.turn = nil
	}
}

// lost ends a connection, unless the server has it back.
func (p *Parked) lost() {
	p.mu.Lock()
	if p.given {
		p.mu.Unlock()
		return
	}
	tell := p.expire()
	p.dead = true
	p.settled()
	p.mu.Unlock()
	_ = p.conn.Close()
	p.lot.forget(p)
	if tell {
		p.tell(true)
	}
}

// tell calls the plugin, whose panic costs the connection.
func (p *Parked) tell(gone bool) {
	defer func() {
		if v := recover(); v != nil {
			p.lot.mux.options.Logger.Error("parked request panicked", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
			p.lost()
		}
	}()
	p.over(gone)
}

// wrote takes note that the answer was sent, and lets the next request come.
func (p *Parked) wrote(now time.Time, err error) {
	if err != nil {
		p.lost()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = true
	switch {
	case p.dead:
	case p.turn != nil:
		p.settled()
	case p.pipelined:
		_ = p.conn.SetReadDeadline(time.Unix(1, 0)) // the reader looks again
	default:
		p.until = time.Time{}
		if p.lot.idle > 0 {
			p.until = now.Add(p.lot.idle)
		}
		_ = p.conn.SetReadDeadline(p.until)
	}
}

// giveBack lets the server of HTTP serve the next request.
func (p *Parked) giveBack() {
	p.lot.forget(p)
	_ = p.conn.SetReadDeadline(time.Time{})
	if !p.lot.mux.http.give(p.conn) {
		_ = p.conn.Close()
	}
}

// more reads one more byte behind those that were looked at.
func (p *peeked) more(one []byte) error {
	for {
		n, err := p.beneath.Read(one)
		if n > 0 {
			p.rest = append(p.rest, one[:n]...)
			return nil
		}
		if err != nil && !p.deadline.early(err) {
			return err
		}
	}
}
