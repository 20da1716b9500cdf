package locks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/internal/locks"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// The contract of locks itself is tested by locktest, on a whole node; here is what
// takes a store that fails at the right moment.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fate is what a store makes of a commit.
type fate uint8

const (
	fine fate = iota
	lost      // uncertain, and never there
	done      // uncertain, and there
	late      // uncertain, and there after the next commit that is fine
	full      // refused
	hang      // uncertain when the caller's patience ends, and there then
)

// store is a real one whose commits meet their fate, in order; then all is fine.
type store struct {
	kv.Store

	deaf atomic.Bool // streams tell nothing

	mu    sync.Mutex // guards the rest
	fates []fate
	held  []kv.Txn
	first func()                  // runs once, before the next commit
	cut   context.CancelCauseFunc // of the last stream
}

// Watch implements kv.Store with a stream that can be cut.
func (s *store) Watch(ctx context.Context, w kv.Watch) (kv.Stream, error) {
	st, err := s.Store.Watch(ctx, w)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf.Store(false)
	ctx, s.cut = context.WithCancelCause(ctx)
	return &stream{Stream: st, deaf: &s.deaf, whole: ctx}, nil
}

type stream struct {
	kv.Stream
	deaf  *atomic.Bool
	whole context.Context
}

func (s *stream) Next(ctx context.Context) (kv.Batch, error) {
	for {
		b, err := s.Stream.Next(s.whole)
		if s.whole.Err() != nil {
			return kv.Batch{}, errors.Join(ctx.Err(), context.Cause(s.whole))
		}
		if err != nil || !s.deaf.Load() {
			return b, err
		}
	}
}

func (s *store) Commit(ctx context.Context, t kv.Txn) (kv.Result, error) {
	s.mu.Lock()
	f := fine
	if len(s.fates) > 0 {
		f, s.fates = s.fates[0], s.fates[1:]
	}
	held, first := s.held, s.first
	s.first = nil
	if s.held = nil; f == late {
		s.held = append(held, t)
		held = nil
	}
	s.mu.Unlock()
	if first != nil {
		first()
	}
	switch f {
	case lost, late:
		return kv.Result{}, fmt.Errorf("test: %w", kv.ErrUncertain)
	case full:
		return kv.Result{}, fmt.Errorf("test: %w", kv.ErrReadOnly)
	case hang:
		<-ctx.Done()
		ctx = context.WithoutCancel(ctx)
	case fine, done:
	}
	res, err := s.Store.Commit(ctx, t)
	for _, t := range held {
		if _, err := s.Store.Commit(ctx, t); err != nil {
			return kv.Result{}, err
		}
	}
	if err == nil && (f == done || f == hang) {
		return kv.Result{}, fmt.Errorf("test: %w", kv.ErrUncertain)
	}
	return res, err
}

// overtake lets somebody else in before the next commit.
func (s *store) overtake(first func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = first
}

func (s *store) meet(fates ...fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates = fates
}

// clock is one time for all leases, not known when it is zero.
type clock struct{ end atomic.Pointer[time.Time] }

func (c *clock) Left(kv.LeaseID) (time.Duration, bool) {
	end := c.end.Load()
	if end == nil {
		return 0, false
	}
	return time.Until(*end), true
}

func (c *clock) endAfter(d time.Duration) time.Time {
	end := time.Now().Add(d)
	c.end.Store(&end)
	return end
}

// rig is an engine on a real node.
type rig struct {
	*locks.Engine
	store  *store
	meters *prometheus.Registry
	clock  clock
	failed chan struct{}
	stop   func()
}

func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := coretest.Start(t, func(c *core.Config) { c.DataDir, c.Tables = dir, locks.Tables() })
		r := &rig{store: &store{Store: n.KV()}, meters: prometheus.NewRegistry(), failed: make(chan struct{})}
		r.Engine = locks.New(locks.Settings{
			Store: r.store, Clock: &r.clock, Failed: r.failed,
			Logger: zap.NewNop(), Meters: r.meters,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		workers.Go(func() { r.Run(ctx) })
		workers.Go(func() { r.GiveBack(ctx) })
		r.stop = func() {
			cancel()
			workers.Wait()
		}
		defer r.stop()
		synctest.Wait()
		test(t, r)
	})
}

var request = lock.Request{Space: "s", Name: "n", TTL: time.Minute}

func (r *rig) take(t *testing.T) lock.Held {
	t.Helper()
	h, ok, err := r.For("one").Acquire(t.Context(), request)
	if err != nil || !ok {
		t.Fatalf("Acquire() = %+v, %v, %v, want it", h, ok, err)
	}
	return h
}

// holders lists the tokens that are held.
func (r *rig) holders(t *testing.T) []uint64 {
	t.Helper()
	hs, err := r.For("one").Holders(t.Context(), "s", "", 0)
	if err != nil {
		t.Fatalf("Holders() = %v", err)
	}
	var out []uint64
	for _, h := range hs {
		out = append(out, h.Token)
	}
	return out
}

func (r *rig) wantHolders(t *testing.T, want ...uint64) {
	t.Helper()
	if got := r.holders(t); !slices.Equal(got, want) {
		t.Errorf("Holders() = %v, want %v", got, want)
	}
}

// figure is one metric of the engine.
func (r *rig) figure(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.meters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if m := f.GetMetric()[0]; f.GetName() == name {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
