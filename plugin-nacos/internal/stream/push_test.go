package stream

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"
)

// nowhere is a stream that takes everything.
type nowhere struct{}

func (nowhere) Send(any) (bool, error) { return true, nil }
func (nowhere) End(error)              {}

// A client that asks for messages and reads none makes the server hold a few.
func TestControlIsBounded(t *testing.T) {
	s, _ := registered(t)
	c := newConn(s, &net.TCPAddr{}, time.Now())
	for range 100 {
		c.send(&message{kind: "SetupAckRequest"})
	}
	if n := len(c.queue.control); n > maxControl {
		t.Errorf("%d messages wait, want at most %d", n, maxControl)
	}
}

// ENG-24: a push costs a client two allocations, what the transport makes of it
// aside: where it is on its way, and the frame. What is said is shared.
func TestBudgetPush(t *testing.T) {
	s, _ := registered(t)
	c := newConn(s, &net.TCPAddr{}, time.Now())
	key, rest := new(int), make([]byte, 100_000)
	p := Push{Key: key, Type: "NotifySubscriberRequest", Rest: rest, Timeout: time.Second, Retries: Forever}
	var out message
	round := func() {
		c.Push(p)
		if found, _ := c.take(&out); !found {
			t.Fatal("nothing to write")
		}
		c.mu.Lock()
		c.queue.settle(out.request, true, time.Now())
		c.mu.Unlock()
	}
	round() // makes the maps
	const budget = 2
	if n := testing.AllocsPerRun(1000, round); n > budget {
		t.Errorf("a push makes %.0f allocations, want at most %d", n, budget)
	}
	if n := testing.AllocsPerRun(1000, func() { out.marshal() }); n > 4 {
		t.Errorf("its frame makes %.0f allocations, want at most 4", n)
	}
}

// An acknowledgement wakes a pusher only for something to write; the time of the
// next attempt is kept without it.
func TestAcknowledgementWakes(t *testing.T) {
	const yes, no = `{"resultCode":200,"requestId":"%d"}`, `{"resultCode":500,"requestId":"%d"}`
	for name, tt := range map[string]struct {
		answer string
		again  bool // pushed once more before the answer
		wakes  bool
		armed  bool // something is due later
	}{
		"accepted":              {answer: yes},
		"accepted, pushed anew": {answer: yes, again: true, wakes: true},
		"refused":               {answer: no, armed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := registered(t)
			s.pushers.running = runtime.GOMAXPROCS(0) // none comes: the test is the pusher
			c := newConn(s, &net.TCPAddr{}, time.Now())
			c.line = nowhere{}
			t.Cleanup(c.close)
			p := Push{
				Key: 1, Type: pushConfigChange, Timeout: time.Hour, Retries: 3,
				Backoff: func(int) time.Duration { return time.Hour },
			}
			c.Push(p)
			var out message
			if found, _ := c.take(&out); !found {
				t.Fatal("nothing to write")
			}
			c.slow = false // line has taken it
			id := out.request
			if found, _ := c.take(&out); found || !c.timer.Stop() {
				t.Fatal("the deadline of the acknowledgement is not kept")
			}
			c.mu.Lock()
			c.arm(time.Hour)
			c.mu.Unlock()
			if tt.again {
				c.Push(p)
			}
			c.pumping, s.pushers.due = false, nil // what Push did
			body, ok := ParseBody(fmt.Appendf(nil, tt.answer, id))
			if !ok {
				t.Fatal("unreadable")
			}
			c.acknowledge(ackConfigChange, body)
			if woken := len(s.pushers.due) == 1; woken != tt.wakes {
				t.Errorf("acknowledge() wakes a pusher: %t, want %t", woken, tt.wakes)
			}
			if armed := c.timer.Stop(); armed != (tt.armed || tt.wakes) {
				t.Errorf("acknowledge() leaves the timer running: %t, want %t", armed, tt.armed)
			}
		})
	}
}
