package registry

import (
	"sync"
	"testing"
	"time"
)

// A clock goes on when that of the machine steps back, and steps on with it.
func TestClock(t *testing.T) {
	var c Clock
	for _, x := range []struct{ passed, wall, want int64 }{
		{0, 1000, 1000}, {10, 1010, 1010}, {20, 500, 1020}, {520, 1000, 1520}, {530, 5000, 5000}, {540, 5005, 5010},
	} {
		if got := c.at(x.passed, x.wall); got != x.want {
			t.Errorf("at(%d, %d) = %d, want %d", x.passed, x.wall, got, x.want)
		}
	}
	var mine Clock
	now := time.Now().UnixMilli()
	if mine.Follow(now + 2*MaxSkew.Milliseconds()) {
		t.Error("Follow() of a clock far ahead = true")
	}
	if got := mine.Now(); got < now || got > now+1000 {
		t.Errorf("Now() = %d after a clock that is wrong, want about %d", got, now)
	}
	if ahead := now + 30_000; !mine.Follow(ahead) || mine.Now() < ahead {
		t.Errorf("Now() = %d, want at least %d, which another member told", mine.Now(), ahead)
	}
	if got := mine.Now(); !mine.Follow(now) || mine.Now() < got {
		t.Errorf("Now() = %d after a clock behind, want no step back from %d", mine.Now(), got)
	}
}

func TestMoment(t *testing.T) {
	var c Clock
	now := c.Now()
	var a, b, never, last Moment
	a.Begin(&c, 0)
	one := a.Tell()
	if one < now || one > now+1000 {
		t.Errorf("Tell() = %d, want about %d", one, now)
	}
	if end := a.End(); end != one || a.Tell() != one {
		t.Errorf("End() = %d, then Tell() = %d, want both %d", end, a.Tell(), one)
	}
	b.Begin(&c, a.End())
	if two := b.Tell(); two <= one || b.Tell() < two {
		t.Errorf("Tell() of the next = %d after %d", two, one)
	}
	two := b.End()
	never.Begin(&c, two)
	last.Begin(&c, never.End())
	if late, newest := never.Tell(), last.Tell(); late <= two || newest <= late {
		t.Errorf("Tell() of what has ended = %d, of the newest %d, want both later than %d, in this order", late, newest, two)
	}
}

// However many states are told, their times grow while they can, and never run far
// ahead of the clock.
func TestMomentLead(t *testing.T) {
	var c Clock
	last, grew := int64(0), 0
	for range 10_000 {
		var m Moment
		m.Begin(&c, last)
		switch got := m.Tell(); {
		case got < last:
			t.Fatalf("Tell() = %d after %d", got, last)
		case got > c.Now()+maxLead+1:
			t.Fatalf("Tell() = %d, the clock is at %d", got, c.Now())
		case got > last:
			grew++
		}
		last = m.End()
	}
	if grew < maxLead {
		t.Errorf("it grew %d times, want at least %d", grew, maxLead)
	}
}

// What is told with an older snapshot is before all that is told with a newer one,
// whoever asks when.
func TestMomentRace(t *testing.T) {
	var c Clock
	moments := make([]Moment, maxLead)
	type span struct{ first, last int64 }
	spans := make([][]span, 4)
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		current int
	)
	moments[0].Begin(&c, 0)
	for w := range spans {
		spans[w] = make([]span, len(moments))
		wg.Go(func() {
			for {
				mu.Lock()
				i := current
				mu.Unlock()
				at := moments[i].Tell()
				if s := &spans[w][i]; s.first == 0 {
					*s = span{at, at}
				} else {
					s.last = at
				}
				if i == len(moments)-1 {
					return
				}
			}
		})
	}
	for i := 1; i < len(moments); i++ {
		after := moments[i-1].End()
		moments[i].Begin(&c, after)
		mu.Lock()
		current = i
		mu.Unlock()
	}
	wg.Wait()
	newest := int64(0)
	for i := range moments {
		last := newest
		for w := range spans {
			s := spans[w][i]
			if s.first == 0 {
				continue
			}
			if s.first <= newest {
				t.Fatalf("snapshot %d was told %d, after one of %d with an older one", i, s.first, newest)
			}
			last = max(last, s.last)
		}
		newest = last
	}
}
