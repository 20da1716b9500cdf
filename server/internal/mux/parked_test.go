package mux

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubbled runs a lobby over pipes where time is that of the bubble.
func bubbled(t *testing.T, o Options, test func(b *lobby, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		b := newLobby(p, o)
		test(b, p)
		b.close()
	})
}

// Time: the request waits until then and not longer, also when the next one came
// with it or after it; then the client may take its time for the next one.
func TestParkedTime(t *testing.T) {
	for name, ahead := range map[string]string{"alone": "", "next one there": other, "next one begun": other[:3]} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, Options{Idle: time.Minute}, func(b *lobby, p *pipes) {
				b.hold = 30 * time.Second
				begin := time.Now()
				c := p.dial("192.0.2.2")
				write(t, c, park)
				parked := <-b.parked
				if ahead != "" {
					write(t, c, ahead[:1])
					go func() { _, _ = io.WriteString(c, ahead[1:]) }()
				}
				if gone := <-b.over; gone || time.Since(begin) != b.hold {
					t.Errorf("over(%v) after %s, want it after %s", gone, time.Since(begin), b.hold)
				}
				time.Sleep(time.Hour) //nolint:forbidigo // the clock of the bubble: over does not end it
				parked.Answer(text("nothing"))
				r := bufio.NewReader(c)
				wants(t, r, "nothing")
				if ahead == other {
					wants(t, r, "at once /other")
				}
				_ = c.Close()
				synctest.Wait()
				if len(b.over) != 0 {
					t.Error("over was called twice")
				}
			})
		})
	}
	bubbled(t, Options{Idle: time.Minute}, func(b *lobby, p *pipes) {
		b.hold = 30 * time.Second
		c := p.dial("192.0.2.2")
		r := bufio.NewReader(c)
		for range 2 {
			write(t, c, park)
			(<-b.parked).Answer(text("x"))
			wants(t, r, "x")
			time.Sleep(59 * time.Second) //nolint:forbidigo // the clock of the bubble
		}
		write(t, c, park)
		(<-b.parked).Answer(text("x"))
		wants(t, r, "x")
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(begin) != time.Minute {
			t.Errorf("Read() of who asks no more = %v after %s, want the end after a minute", err, time.Since(begin))
		}
	})
}

// A client that does not read is cut off, and holds nobody else up.
func TestParkedSlowReader(t *testing.T) {
	bubbled(t, Options{}, func(b *lobby, p *pipes) {
		begin := time.Now()
		slow := p.dial("192.0.2.2")
		write(t, slow, park)
		first := <-b.parked
		var quick []net.Conn
		for range 4 * len(b.mux.lot.writers) {
			c := p.dial("192.0.2.2")
			write(t, c, park)
			quick = append(quick, c)
		}
		first.Answer(text("unread"))
		for range quick {
			(<-b.parked).Answer(text("read"))
		}
		for _, c := range quick {
			wants(t, bufio.NewReader(c), "read")
			_ = c.Close()
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("the others were answered after %s, want at once", took)
		}
		time.Sleep(writeLimit) //nolint:forbidigo // the clock of the bubble
		synctest.Wait()
		if n := b.kept(); n != 0 {
			t.Errorf("%d connections left after %s, want none", n, writeLimit)
		}
		if _, err := slow.Read(make([]byte, 1)); err == nil {
			t.Error("Read() of the slow one = nil error, want the end")
		}
	})
}

// Parked connections count for the limit of their address.
func TestParkedAdmission(t *testing.T) {
	a := &Admission{PerIP: 2}
	bubbled(t, Options{Admit: a, Idle: time.Minute}, func(b *lobby, p *pipes) {
		one, two := p.dial("192.0.2.2"), p.dial("192.0.2.2")
		write(t, one, park)
		parked := <-b.parked
		write(t, two, park)
		<-b.parked
		if _, err := p.dial("192.0.2.2").Read(make([]byte, 1)); err == nil || a.Refused() != 1 {
			t.Errorf("third connection: %v, %d refused, want the end", err, a.Refused())
		}
		parked.Answer(text("x"))
		r := bufio.NewReader(one)
		wants(t, r, "x")
		write(t, one, other)
		wants(t, r, "at once /other")
		_ = one.Close()
		_ = two.Close()
		synctest.Wait()
		if a.Open() != 0 || len(a.byIP) != 0 {
			t.Errorf("Open() = %d, %d addresses, want none", a.Open(), len(a.byIP))
		}
	})
}

// Close lets answers out that were given, and cuts off who has none; nothing is
// parked afterwards.
func TestParkedClose(t *testing.T) {
	b, dial := tcp(t, Options{Idle: time.Minute})
	var told, idle []*bufio.Reader
	var parked []*Parked
	for range 20 {
		c := dial()
		write(t, c, park)
		parked = append(parked, <-b.parked)
		told = append(told, bufio.NewReader(c))
	}
	c := dial()
	write(t, c, park)
	(<-b.parked).Answer(text("before"))
	idle = append(idle, bufio.NewReader(c))
	wants(t, idle[0], "before")
	untold, ahead := dial(), dial()
	write(t, untold, park)
	<-b.parked
	write(t, ahead, park)
	p := <-b.parked
	write(t, ahead, "G")
	for _, p := range parked {
		p.Answer(text("nothing changed"))
	}
	b.close()
	for _, r := range told {
		wants(t, r, "nothing changed")
	}
	for range 2 {
		if !<-b.over {
			t.Error("over(false) at the end, want gone")
		}
	}
	p.Answer(text("too late"))
	for _, r := range append(told, idle[0], bufio.NewReader(untold), bufio.NewReader(ahead)) {
		if _, err := r.ReadByte(); err == nil {
			t.Error("ReadByte() = nil error, want the end")
		}
	}
	if b.mux.lot.open() || b.kept() != 0 {
		t.Error("the lot is open or holds connections")
	}
}

// A panic of the plugin costs its connection alone; so does Abort.
func TestParkedPanics(t *testing.T) {
	bubbled(t, Options{}, func(b *lobby, p *pipes) {
		h := b.http.Handler
		b.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/park" {
				h.ServeHTTP(w, r)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			parked, _ := b.mux.Park(w, r, time.Now().Add(time.Second), func(gone bool) {
				b.over <- gone
				panic("over")
			})
			b.parked <- parked
		})
		one, two := p.dial("192.0.2.2"), p.dial("192.0.2.2")
		write(t, one, park)
		<-b.parked
		if _, err := one.Read(make([]byte, 1)); err == nil || <-b.over {
			t.Errorf("Read() = %v, want the end when the time was over", err)
		}
		write(t, two, park)
		parked := <-b.parked
		write(t, two, "G")
		synctest.Wait()
		parked.Abort()
		if _, err := two.Read(make([]byte, 1)); err == nil || !<-b.over {
			t.Errorf("Read() after Abort() = %v, want the end, gone", err)
		}
		synctest.Wait()
		if len(b.over) != 0 || b.kept() != 0 {
			t.Errorf("%d more calls, %d connections, want none", len(b.over), b.kept())
		}
	})
}

// Clients that ask, wait, leave and come again, all at once, while the server
// answers as it likes: each request is answered once, or its client gone.
func TestParkedTogether(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newLobby(l, Options{Idle: time.Minute, Admit: &Admission{}})
	b.hold = 2 * time.Millisecond
	b.over = make(chan bool, 1<<16)
	var clients, answering sync.WaitGroup
	end := make(chan struct{})
	answering.Go(func() {
		for {
			select {
			case p := <-b.parked:
				answering.Go(func() { p.Answer(text("x")) })
			case <-end:
				return
			}
		}
	})
	for range 16 {
		clients.Go(func() {
			for range 20 {
				if err := visit(l.Addr().String()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	b.close()
	close(end)
	answering.Wait()
	if n := b.mux.options.Admit.Open(); n != 0 || b.kept() != 0 {
		t.Errorf("%d connections open, %d in the lot, want none", n, b.kept())
	}
}

// visit asks some times over one connection, now and then for two things at once,
// and leaves without reading all.
func visit(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	for range rand.N(8) {
		asked := []string{park, other, park + other, other + park, park + park}[rand.N(5)]
		if _, err := io.WriteString(c, asked); err != nil {
			return err
		}
		for range strings.Count(asked, "HTTP") {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return fmt.Errorf("answer to %q: %w", asked, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
		}
	}
	_, err = io.WriteString(c, park)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
