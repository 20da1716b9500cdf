package authz

import (
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

const (
	maxFailures = 5           // wrong secrets within the window, then locked
	window      = time.Minute // of failures, and of the lock
	maxTracked  = 10_000      // keys remembered at once
)

// attempts counts failures per key and locks a key out for a while (SEC-07). It
// forgets a key when its window has passed.
type attempts struct {
	now func() time.Time
	mu  sync.Mutex // guards failed
	// failed holds the failures of keys that have some.
	failed map[string]*failures
}

type failures struct {
	count int
	until time.Time // end of the window, or of the lock
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, failed: map[string]*failures{}}
}

// check returns a *auth.LockedError while key is locked.
func (a *attempts) check(key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.failed[key]
	if f == nil {
		return nil
	}
	if !a.now().Before(f.until) {
		delete(a.failed, key)
		return nil
	}
	if f.count >= maxFailures {
		return &auth.LockedError{Until: f.until}
	}
	return nil
}

// fail counts one failure of key.
func (a *attempts) fail(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	f := a.failed[key]
	if f == nil || !now.Before(f.until) {
		a.makeRoom(now)
		f = &failures{}
		a.failed[key] = f
	}
	f.count++
	f.until = now.Add(window)
}

// clear forgets the failures of key.
func (a *attempts) clear(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, key)
}

// makeRoom drops what has passed when the table is full, and any key when
// nothing has.
func (a *attempts) makeRoom(now time.Time) {
	if len(a.failed) < maxTracked {
		return
	}
	for k, f := range a.failed {
		if !now.Before(f.until) {
			delete(a.failed, k)
		}
	}
	for k := range a.failed {
		if len(a.failed) < maxTracked {
			return
		}
		delete(a.failed, k)
	}
}
