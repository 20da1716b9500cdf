// Package locktest is the suite that every implementation of package lock passes.
//
// The package owns the goroutines of its tests only and joins them. Start reading
// at Run; linear.go holds the model that histories are checked with.
package locktest

import (
	"context"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/lock"
)

// Backend is one implementation under test.
type Backend struct {
	// Locks are those of one owner.
	Locks func(owner string) lock.Locks
	// Pass lets time pass, and lets whoever has something to do then do it.
	Pass func(d time.Duration)
	// Late is how much longer than its time a lock may stay held.
	Late time.Duration
	// Restart stops the implementation and starts it on the same data.
	Restart func(t *testing.T) Backend
}

// Open calls test with a fresh backend, perhaps where time is not the real one.
type Open func(t *testing.T, test func(t *testing.T, b Backend))

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"Hold":           hold,
		"Owners":         owners,
		"Tokens":         tokens,
		"Expiry":         expiry,
		"Extend":         extend,
		"ExtendShorter":  extendShorter,
		"Identity":       identity,
		"Holders":        holders,
		"Limits":         limits,
		"WaitOver":       waitOver,
		"WaitForRelease": waitForRelease,
		"WaitForExpiry":  waitForExpiry,
		"WaitInOrder":    waitInOrder,
		"WaitGivenUp":    waitGivenUp,
		"Exclusion":      exclusion,
		"Restart":        restart,
	} {
		t.Run(name, func(t *testing.T) { open(t, test) })
	}
	t.Run("Linearizable", func(t *testing.T) { linearizable(t, open) })
}

const (
	owner = "one"
	other = "two"
	space = "s"
	ttl   = 2 * time.Second
)

// within bounds every call of the suite; nothing takes nearly as long.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// acquire wants an answer, whichever.
func acquire(t *testing.T, l lock.Locks, r lock.Request) (lock.Held, bool) {
	t.Helper()
	if r.Space == "" {
		r.Space = space
	}
	if r.TTL == 0 {
		r.TTL = ttl
	}
	h, ok, err := l.Acquire(within(t), r)
	if err != nil {
		t.Fatalf("Acquire(%+v) = %v", r, err)
	}
	return h, ok
}

// take wants the lock.
func take(t *testing.T, l lock.Locks, r lock.Request) lock.Held {
	t.Helper()
	h, ok := acquire(t, l, r)
	if !ok || h.Token == 0 || h.Space == "" || h.Name != r.Name || h.Owner != r.Owner {
		t.Fatalf("Acquire(%+v) = %+v, %v, want it", r, h, ok)
	}
	return h
}

func wantTaken(t *testing.T, l lock.Locks, name string) {
	t.Helper()
	if h, ok := acquire(t, l, lock.Request{Name: name}); ok || h != (lock.Held{}) {
		t.Errorf("Acquire(%s) = %+v, %v, want it taken", name, h, ok)
	}
}

func wantRelease(t *testing.T, l lock.Locks, h lock.Held, want bool) {
	t.Helper()
	if got, err := l.Release(within(t), h); got != want || err != nil {
		t.Errorf("Release(%+v) = %v, %v, want %v", h, got, err, want)
	}
}

func wantExtend(t *testing.T, l lock.Locks, h lock.Held, ttl time.Duration, want bool) {
	t.Helper()
	if got, err := l.Extend(within(t), h, ttl); got != want || err != nil {
		t.Errorf("Extend(%+v, %v) = %v, %v, want %v", h, ttl, got, err, want)
	}
}
