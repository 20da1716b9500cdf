package locktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

const (
	linearClients = 6
	linearNames   = 3
	// rounds are runs of the clients; a restart is in the middle of each.
	linearRounds = 6
	roundTime    = 10 * time.Second
	// maxUnknown bounds the calls that are given up: each doubles what the check
	// has to try.
	maxUnknown = 8
)

// linearizable lets clients take, prolong, release and forget locks while the
// implementation is restarted, and wants a history that one lock after the other
// could have had (STY-68).
func linearizable(t *testing.T, open Open) {
	t.Helper()
	for round := range linearRounds {
		rec := &record{}
		open(t, func(t *testing.T, b Backend) {
			t.Helper()
			rec.rules.late = b.Late
			rec.current.Store(&b)
			rec.run(t)
		})
		counts := map[string]int{}
		for _, o := range rec.history {
			if c, ok := o.Output.(call); ok {
				counts[fmt.Sprintf("%v ok=%v unknown=%v", c.Kind, c.OK, c.Unknown)]++
			}
		}
		t.Logf("round %d: %d calls: %v", round, len(rec.history), counts)
		for _, kind := range []kind{acquireCall, extendCall, releaseCall} {
			for _, ok := range []bool{true, false} {
				if what := fmt.Sprintf("%v ok=%v unknown=false", kind, ok); counts[what] == 0 {
					t.Errorf("no call with %s: the history says too little", what)
				}
			}
		}
		switch porcupine.CheckOperationsTimeout(rec.rules.model(), rec.history, time.Minute) {
		case porcupine.Ok:
		case porcupine.Illegal:
			t.Fatalf("round %d: the history of %d calls is not linearizable", round, len(rec.history))
		case porcupine.Unknown:
			t.Errorf("round %d: the history of %d calls was too much for the check", round, len(rec.history))
		}
	}
}

// record collects what clients do.
type record struct {
	rules   rules
	current atomic.Pointer[Backend]
	order   atomic.Int64
	unknown atomic.Int64

	mu      sync.Mutex // guards history
	history []porcupine.Operation
}

// run lets the clients work, and restarts the backend half way.
func (r *record) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range linearClients {
		wg.Go(func() {
			for ctx.Err() == nil {
				r.session(ctx, i)
			}
		})
	}
	b := r.current.Load()
	b.Pass(roundTime / 2)
	again := b.Restart(t)
	// Leases count from here at the latest; from before it, at the earliest.
	r.rules.restarts = append(r.rules.restarts, time.Now())
	r.current.Store(&again)
	again.Pass(roundTime / 2)
	cancel()
	wg.Wait()
}

// session takes a lock and does something with it.
func (r *record) session(ctx context.Context, client int) {
	l := r.current.Load().Locks(owner)
	q := lock.Request{Space: space, Name: fmt.Sprint("l", rand.N(linearNames)), TTL: some(400 * time.Millisecond)}
	if rand.N(2) == 0 {
		q.Wait = some(200 * time.Millisecond)
	}
	var h lock.Held
	ok := r.call(ctx, client, call{Kind: acquireCall, Name: q.Name, TTL: q.TTL}, func(ctx context.Context) (got bool, token uint64, err error) {
		h, got, err = l.Acquire(ctx, q)
		return got, h.Token, err
	})
	if !ok {
		idle(ctx, some(50*time.Millisecond))
		return
	}
	for range rand.N(4) {
		idle(ctx, some(2*q.TTL))
		q.TTL = some(300 * time.Millisecond)
		r.call(ctx, client, call{Kind: extendCall, Name: q.Name, TTL: q.TTL, Token: h.Token}, func(ctx context.Context) (bool, uint64, error) {
			ok, err := r.current.Load().Locks(owner).Extend(ctx, h, q.TTL)
			return ok, h.Token, err
		})
	}
	idle(ctx, some(2*q.TTL))
	if rand.N(4) == 0 {
		return // and it ends with its time
	}
	r.call(ctx, client, call{Kind: releaseCall, Name: q.Name, Token: h.Token}, func(ctx context.Context) (bool, uint64, error) {
		ok, err := r.current.Load().Locks(owner).Release(ctx, h)
		return ok, h.Token, err
	})
}

// call makes a call, sometimes one that is given up meanwhile, and notes it.
func (r *record) call(ctx context.Context, client int, c call, do func(context.Context) (bool, uint64, error)) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if rand.N(20) == 0 && r.unknown.Load() < maxUnknown {
		go cancel()
	}
	begin := r.order.Add(1)
	c.Made = time.Now()
	ok, token, err := do(ctx)
	c.OK, c.Token, c.Done = ok, token, time.Now()
	end := r.order.Add(1)
	switch {
	case errors.Is(err, kv.ErrUncertain):
		r.unknown.Add(1)
		c.OK, c.Unknown = false, true
	case err != nil:
		return false // certain not to have happened
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, operation(client, begin, end, c))
	return c.OK
}

func some(d time.Duration) time.Duration { return time.Millisecond + rand.N(d) }

func idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Faulty lets clients work on the locks of an implementation, perhaps one that is
// reached over a network, while faults runs, and wants a history that one lock
// after the other could have had. A lock may stay held for as long as it likes, but
// never ends early. It returns how many calls were answered and how many outcomes
// are unknown.
func Faulty(t *testing.T, locks lock.Locks, faults func()) (calls, unknown int) {
	t.Helper()
	r := &record{}
	r.rules.late = 24 * time.Hour
	r.current.Store(&Backend{Locks: func(string) lock.Locks { return locks }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range linearClients {
		wg.Go(func() {
			for ctx.Err() == nil {
				r.session(ctx, i)
			}
		})
	}
	faults()
	cancel()
	wg.Wait()
	unknown = int(r.unknown.Load())
	switch porcupine.CheckOperationsTimeout(r.rules.model(), r.history, time.Minute) {
	case porcupine.Ok:
	case porcupine.Illegal:
		t.Errorf("the history of %d calls on locks is not linearizable", len(r.history))
	case porcupine.Unknown:
		t.Errorf("the history of %d calls on locks was too much for the check, %d are unknown", len(r.history), unknown)
	}
	return len(r.history) - unknown, unknown
}
