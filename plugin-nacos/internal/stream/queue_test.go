package stream

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notice is a push that is repeated like a change of a config.
func notice(key string) Push {
	return Push{
		Key: key, Type: pushConfigChange, Timeout: 3 * time.Second, Retries: 50,
		Backoff: func(n int) time.Duration { return time.Duration(n) * 2 * time.Second },
		Body:    func(id string) []byte { return []byte(key + "/" + id) },
	}
}

// clock runs a queue on a clock of its own.
type clock struct {
	queue
	now time.Time
	id  uint64
}

func (c *clock) take() (string, time.Duration, bool) {
	out, wait, exhausted := c.next(c.now, func() uint64 { c.id++; return c.id })
	if out == nil {
		return "", wait, exhausted
	}
	return string(out.body), wait, exhausted
}

// NAC-PSH-21: a push that nobody acknowledges is sent at 0, 5, 12, 21, 32, 45 and
// 60 s, and after the last attempt the connection is given up.
func TestRetryTimes(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	c.push(notice("k"), c.now)
	var at []int
	for {
		body, wait, exhausted := c.take()
		if exhausted {
			break
		}
		if body != "" {
			at = append(at, int(c.now.Unix()))
		}
		c.now = c.now.Add(wait)
	}
	if want := []int{0, 5, 12, 21, 32, 45, 60}; !slices.Equal(at[:len(want)], want) {
		t.Errorf("sent at %v, want %v first", at, want)
	}
	if len(at) != 51 {
		t.Errorf("sent %d times, want 1 and 50 more", len(at))
	}
}

// NAC-SET-07: however often a key is pushed, one is on its way, and one more
// follows when something came while it was.
func TestCoalesce(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	for range 10 {
		c.push(notice("k"), c.now)
	}
	if body, _, _ := c.take(); body != "k/1" {
		t.Fatalf("first = %q, want k/1", body)
	}
	if body, wait, _ := c.take(); body != "" || wait != 3*time.Second {
		t.Fatalf("second = %q after %v, want nothing for 3s", body, wait)
	}
	for range 10 {
		c.push(notice("k"), c.now)
	}
	if found, _ := c.settle(1, true, c.now); !found {
		t.Fatal("settle(1) found nothing")
	}
	if body, _, _ := c.take(); body != "k/2" {
		t.Errorf("after the ack = %q, want k/2", body)
	}
	c.settle(2, true, c.now)
	if body, wait, _ := c.take(); body != "" || wait != 0 || len(c.byKey)+len(c.byID)+len(c.heap) != 0 {
		t.Errorf("settled queue = %q, %v, %d keys, want empty", body, wait, len(c.byKey))
	}
}

// NAC-PSH-04, 06: a refused push waits like an unanswered one; a change meanwhile
// sends it at once; an old or unknown id settles nothing.
func TestRefused(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	c.push(notice("k"), c.now)
	c.take()
	c.settle(1, false, c.now)
	if body, wait, _ := c.take(); body != "" || wait != 2*time.Second {
		t.Errorf("after a refusal = %q, %v, want a pause of 2s", body, wait)
	}
	if found, _ := c.settle(1, true, c.now); found {
		t.Error("settle() of an ended attempt = found")
	}
	c.push(notice("k"), c.now)
	if body, _, _ := c.take(); body != "k/2" {
		t.Errorf("after a change = %q, want k/2 at once", body)
	}
}

// NAC-QRK-11: the push that waits longest is the one that an ack without an id
// means; messages without acknowledgement go first.
func TestOldestAndControl(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	if id := c.oldest(pushConfigChange); id != 0 {
		t.Errorf("oldest() of nothing = %d, want 0", id)
	}
	c.push(notice("a"), c.now)
	c.push(notice("b"), c.now)
	c.control = append(c.control, &outgoing{"SetupAckRequest", []byte("ack")})
	if body, _, _ := c.take(); body != "ack" {
		t.Errorf("first = %q, want the setup ack", body)
	}
	first, _, _ := c.take()
	c.take()
	if id := c.oldest(pushConfigChange); id != 1 {
		t.Errorf("oldest() = %d, want 1, which is %s", id, first)
	}
	c.settle(1, true, c.now)
	if id := c.oldest(pushConfigChange); id != 2 {
		t.Errorf("oldest() = %d, want 2", id)
	}
	if id := c.oldest("Other"); id != 0 {
		t.Errorf("oldest(Other) = %d, want 0", id)
	}
}
