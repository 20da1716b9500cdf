package stream

import (
	"net"
	"testing"
	"time"
)

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
		if found, _, _ := c.take(&out); !found {
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
