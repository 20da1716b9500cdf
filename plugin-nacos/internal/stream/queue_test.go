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
		Rest:    []byte(key),
	}
}

// clock runs a queue on a clock of its own.
type clock struct {
	queue
	now time.Time
	id  uint64
}

func (c *clock) take() (string, time.Duration, bool) {
	var out message
	found, wait, exhausted := c.next(c.now, func() uint64 { c.id++; return c.id }, &out)
	switch {
	case !found:
		return "", wait, exhausted
	case out.request == 0:
		return string(out.parts[0]), wait, exhausted
	}
	return string(out.parts[0]) + "/" + formatID(out.request), wait, exhausted
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
	c.control = append(c.control, &message{kind: "SetupAckRequest", parts: [3][]byte{[]byte("ack")}})
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

// ENG-09: of what waits for one key the newest is sent, also in place of what was
// not acknowledged.
func TestNewestWins(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	of := func(rest string) Push {
		p := notice("k")
		p.Rest = []byte(rest)
		return p
	}
	c.push(of("old"), c.now)
	c.push(of("new"), c.now)
	if body, _, _ := c.take(); body != "new/1" {
		t.Errorf("first = %q, want new/1", body)
	}
	c.push(of("newer"), c.now)
	c.push(of("newest"), c.now)
	c.settle(1, true, c.now)
	if body, _, _ := c.take(); body != "newest/2" {
		t.Errorf("after the ack = %q, want newest/2", body)
	}
	c.push(of("last"), c.now)
	c.settle(2, false, c.now)
	c.now = c.now.Add(2 * time.Second)
	if body, _, _ := c.take(); body != "last/3" {
		t.Errorf("after a refusal = %q, want last/3", body)
	}
}

// NAC-PSH-20: a push that is repeated for ever never ends the connection, and
// ends when it is withdrawn.
func TestForever(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	p := notice("k")
	p.Timeout, p.Retries, p.Backoff = 5*time.Second, Forever, func(int) time.Duration { return time.Second }
	c.push(p, c.now)
	for c.id < 101 {
		body, wait, exhausted := c.take()
		if exhausted {
			t.Fatalf("given up after %d attempts", c.id)
		}
		if body == "" {
			c.now = c.now.Add(wait)
		}
	}
	if got := c.now.Unix(); got != 600 {
		t.Errorf("the attempt after 100 came at %d s, want 600", got)
	}
	id := c.id
	c.withdraw("k")
	c.withdraw("unknown")
	if body, wait, _ := c.take(); body != "" || wait != 0 || len(c.byKey)+len(c.byID)+len(c.heap) != 0 {
		t.Errorf("withdrawn = %q, %v, want nothing left", body, wait)
	}
	if found, _ := c.settle(id, true, c.now); found {
		t.Error("settle() of a withdrawn push = found")
	}
}
