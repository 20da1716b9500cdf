package locktest

import (
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/lock"
)

func hold(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a"})
	if h.Remaining <= 0 || h.Remaining > ttl {
		t.Errorf("Remaining = %v, want up to %v", h.Remaining, ttl)
	}
	wantTaken(t, l, "a") // not re-entrant: nobody is told from anybody
	take(t, l, lock.Request{Name: "b"})
	wantRelease(t, l, h, true)
	wantRelease(t, l, h, false)
	wantExtend(t, l, h, ttl, false)
	if again := take(t, l, lock.Request{Name: "a"}); again.Token <= h.Token {
		t.Errorf("Token = %d after %d, want a higher one", again.Token, h.Token)
	}
	wantRelease(t, l, h, false)
	wantExtend(t, l, h, ttl, false)
	wantTaken(t, l, "a")
}

// NAC-LCK-05: what has no owner is anybody's to release.
func owners(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	take(t, l, lock.Request{Name: "a"})
	wantRelease(t, l, lock.Held{Space: space, Name: "a"}, true)
	wantRelease(t, l, lock.Held{Space: space, Name: "a"}, false)
	take(t, l, lock.Request{Name: "a"})
	wantRelease(t, l, lock.Held{Space: space, Name: "a", Owner: "bob"}, true)

	h := take(t, l, lock.Request{Name: "a", Owner: "alice"})
	for _, who := range []string{"", "bob", "alice\x00", "Alice"} {
		wantRelease(t, l, lock.Held{Space: space, Name: "a", Owner: who}, false)
		wantRelease(t, l, lock.Held{Space: space, Name: "a", Owner: who, Token: h.Token}, false)
		wantExtend(t, l, lock.Held{Space: space, Name: "a", Owner: who, Token: h.Token}, ttl, false)
	}
	wantRelease(t, l, lock.Held{Space: space, Name: "a", Owner: "alice", Token: h.Token + 1}, false)
	wantExtend(t, l, lock.Held{Space: space, Name: "a", Owner: "alice"}, ttl, false)
	wantExtend(t, l, h, ttl, true)
	wantTaken(t, l, "a")
	wantRelease(t, l, lock.Held{Space: space, Name: "a", Owner: "alice"}, true)
}

// However a lock ended, the next holder's token is higher.
func tokens(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	var last uint64
	for i := range 12 {
		h := take(t, l, lock.Request{Name: "a"})
		if h.Token <= last {
			t.Fatalf("Token = %d after %d, want a higher one", h.Token, last)
		}
		last = h.Token
		switch i % 4 {
		case 0:
			wantRelease(t, l, h, true)
		case 1:
			b.Pass(ttl + b.Late)
		case 2:
			wantExtend(t, l, h, ttl, true)
			wantRelease(t, l, h, true)
		case 3:
			b = b.Restart(t)
			l = b.Locks(owner)
			wantTaken(t, l, "a")
			wantRelease(t, l, h, true)
		}
	}
}

// A lock ends when its time is over, not before.
func expiry(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a"})
	b.Pass(ttl / 2)
	wantTaken(t, l, "a")
	b.Pass(ttl/2 + b.Late)
	next := take(t, l, lock.Request{Name: "a"})
	wantExtend(t, l, h, ttl, false)
	wantRelease(t, l, h, false)
	wantTaken(t, l, "a")
	wantExtend(t, l, next, ttl, true)
	b.Pass(ttl + b.Late)
	if hs, err := l.Holders(within(t), space, "", 0); len(hs) != 0 || err != nil {
		t.Errorf("Holders() = %+v, %v, want nobody", hs, err)
	}
	wantRelease(t, l, lock.Held{Space: space, Name: "a"}, false)
}

// An extension counts anew from when it is made.
func extend(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", Owner: "alice"})
	for range 4 {
		b.Pass(ttl * 3 / 4)
		wantExtend(t, l, h, ttl, true)
		wantTaken(t, l, "a")
	}
	hs, err := l.Holders(within(t), space, "", 0)
	if err != nil || len(hs) != 1 || hs[0].Token != h.Token || hs[0].Owner != "alice" {
		t.Errorf("Holders() = %+v, %v, want %+v", hs, err, h)
	}
	b.Pass(ttl + b.Late)
	wantExtend(t, l, h, ttl, false)
	take(t, l, lock.Request{Name: "a"})
}

func extendShorter(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	h := take(t, l, lock.Request{Name: "a", TTL: time.Hour})
	wantExtend(t, l, h, ttl, true)
	b.Pass(ttl + b.Late)
	next := take(t, l, lock.Request{Name: "a"})
	wantExtend(t, l, next, time.Hour, true)
	b.Pass(2*ttl + b.Late)
	wantTaken(t, l, "a")
}

// ARC-S09: what is held stays held, for its whole time once more.
func restart(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	a := take(t, l, lock.Request{Name: "a"})
	take(t, l, lock.Request{Name: "b"})
	b.Pass(ttl / 2)
	b = b.Restart(t)
	l = b.Locks(owner)
	wantTaken(t, l, "a")
	b.Pass(ttl * 3 / 4)
	wantTaken(t, l, "b")
	wantExtend(t, l, a, time.Hour, true)
	b.Pass(ttl/2 + b.Late)
	wantTaken(t, l, "a")
	take(t, l, lock.Request{Name: "b"})
	b = b.Restart(t)
	l = b.Locks(owner)
	wantRelease(t, l, a, true)
	if next := take(t, l, lock.Request{Name: "a"}); next.Token <= a.Token {
		t.Errorf("Token = %d after %d and a restart, want a higher one", next.Token, a.Token)
	}
}
