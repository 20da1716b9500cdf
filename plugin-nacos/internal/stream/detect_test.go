package stream

import (
	"net"
	"strings"
	"testing"
	"time"
)

// NAC-CON-33, NAC-TIM-05: a client that was silent for 20 s is asked once, and is
// given up 5 s later; one that reads nothing for 30 s is dropped; others are left
// alone.
func TestDetect(t *testing.T) {
	s, _ := registered(t)
	now := time.Now()
	client := func(active time.Time) *Conn {
		c := newConn(s, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, active)
		c.setup.Store(&Setup{})
		if !s.adopt(c) {
			t.Fatal("adopt() = false")
		}
		return c
	}
	silent, lively, stuck := client(now.Add(-detectIdle)), client(now.Add(-detectIdle+time.Second)), client(now)
	stuck.sending.Store(now.Add(-detectBlocked).UnixMilli())
	s.detect(now)
	s.detect(now)

	if !stuck.isClosed() || silent.isClosed() || lively.isClosed() || s.Count() != 2 {
		t.Errorf("closed: stuck %t, silent %t, lively %t, %d left; want the stuck one alone closed",
			stuck.isClosed(), silent.isClosed(), lively.isClosed(), s.Count())
	}
	asked := func(c *Conn, at time.Time) (*message, bool) {
		var out message
		found, _, exhausted := c.queue.next(at, s.nextID, &out)
		if !found {
			return nil, exhausted
		}
		return &out, exhausted
	}
	if out, _ := asked(lively, now); out != nil {
		t.Errorf("the lively client was asked %s", out.body(t))
	}
	out, _ := asked(silent, time.Now())
	if out == nil || out.kind != "ClientDetectionRequest" || !strings.Contains(out.body(t), `"requestId":"`) {
		t.Fatalf("the silent client was asked %v, want ClientDetectionRequest with an id", out)
	}
	if out, exhausted := asked(silent, time.Now()); out != nil || exhausted {
		t.Errorf("asked twice: %v, %t", out, exhausted)
	}
	if _, exhausted := asked(silent, time.Now().Add(detectAnswer)); !exhausted {
		t.Error("without an answer the client is kept, want it given up")
	}
}
