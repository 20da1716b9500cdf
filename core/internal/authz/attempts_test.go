package authz

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

// SEC-07: five failures lock a key for a minute; others go on.
func TestAttempts(t *testing.T) {
	now := time.Unix(1000, 0)
	a := newAttempts(func() time.Time { return now })
	for range maxFailures {
		if err := a.check("a"); err != nil {
			t.Fatalf("check() = %v before the limit", err)
		}
		a.fail("a")
	}
	var locked *auth.LockedError
	if err := a.check("a"); !errors.As(err, &locked) || !locked.Until.Equal(now.Add(window)) {
		t.Errorf("check() = %v, want locked until %v", err, now.Add(window))
	}
	if err := a.check("b"); err != nil {
		t.Errorf("check() of another key = %v", err)
	}
	now = now.Add(window)
	if err := a.check("a"); err != nil {
		t.Errorf("check() after the window = %v", err)
	}
	a.fail("a")
	a.clear("a")
	if len(a.failed) != 0 {
		t.Errorf("%d keys left after clear, want 0", len(a.failed))
	}
}

func TestAttemptsBounded(t *testing.T) {
	a := newAttempts(clock(1000))
	for i := range maxTracked + 100 {
		a.fail(strconv.Itoa(i))
	}
	if len(a.failed) > maxTracked {
		t.Errorf("%d keys tracked, want at most %d", len(a.failed), maxTracked)
	}
}
