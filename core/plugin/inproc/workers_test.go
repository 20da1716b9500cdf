package inproc

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// working is a host whose member leads while leads is true.
func working(leads *atomic.Bool) *Host {
	return NewHost(Settings{Manifest: plugin.Manifest{Name: "x"}, Logger: zap.NewNop(), Leads: leads.Load})
}

// wait lets d pass in the bubble.
func wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// STY-11: a worker that fails or panics is started again after growing pauses of
// at most 30 s; one that returns nil is done.
func TestWorkerBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := working(new(atomic.Bool))
		var at []time.Duration
		begin := time.Now()
		h.Go("w", func(context.Context) error {
			at = append(at, time.Since(begin))
			switch len(at) {
			case 1:
				panic("first")
			case 12:
				return nil
			}
			return errors.New("again")
		})
		h.StartWorkers()
		wait(time.Hour)
		h.StopWorkers()
		want := []int{0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000}
		if len(at) != len(want) {
			t.Fatalf("runs = %d, want %d", len(at), len(want))
		}
		for i := 1; i < len(at); i++ {
			if got := at[i] - at[i-1]; got.Milliseconds() != int64(want[i]) {
				t.Errorf("pause %d = %s, want %d ms", i, got, want[i])
			}
		}
	})
}

// One that has run well for five minutes begins with a short pause again.
func TestWorkerHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := working(new(atomic.Bool))
		var ends, begins []time.Time
		h.Go("w", func(ctx context.Context) error {
			begins = append(begins, time.Now())
			if len(begins) == 4 {
				pause(ctx, healthyAfter+time.Second)
			}
			ends = append(ends, time.Now())
			return errors.New("again")
		})
		h.StartWorkers()
		wait(10 * time.Minute)
		h.StopWorkers()
		if len(begins) < 5 || begins[4].Sub(ends[3]) != firstBackoff {
			t.Errorf("pause after five good minutes = %v, want %s", begins, firstBackoff)
		}
	})
}

// StopWorkers ends the context and waits; it is idempotent and legal without
// StartWorkers.
func TestWorkerStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := working(new(atomic.Bool))
		var ended bool
		h.Go("w", func(ctx context.Context) error {
			<-ctx.Done()
			pause(context.WithoutCancel(ctx), time.Second)
			ended = true
			return ctx.Err()
		})
		h.StopWorkers()
		h.StartWorkers()
		synctest.Wait()
		h.StopWorkers()
		h.StopWorkers()
		if !ended {
			t.Error("StopWorkers() returned before the worker")
		}
	})
}

// A leader's worker runs while the member leads, is told when that ends, and
// runs again with the next term.
func TestLeaderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leads atomic.Bool
		h := working(&leads)
		var running, runs atomic.Int32
		h.LeaderOnly("w", func(ctx context.Context) error {
			runs.Add(1)
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		})
		h.StartWorkers()
		for term := int32(1); term <= 3; term++ {
			wait(time.Second)
			if running.Load() != 0 {
				t.Errorf("term %d: runs without leading", term)
			}
			leads.Store(true)
			wait(time.Second)
			if running.Load() != 1 || runs.Load() != term {
				t.Errorf("term %d: running, runs = %d, %d, want 1, %d", term, running.Load(), runs.Load(), term)
			}
			leads.Store(false)
		}
		wait(time.Second)
		h.StopWorkers()
		if running.Load() != 0 {
			t.Error("runs after StopWorkers()")
		}
	})
}

// A leader's worker that returns nil is done too; one that panics leaves nothing
// behind and is started again.
func TestLeaderOnlyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leads atomic.Bool
		leads.Store(true)
		h := working(&leads)
		runs := 0
		h.LeaderOnly("w", func(context.Context) error {
			if runs++; runs == 1 {
				panic("first")
			}
			return nil
		})
		h.StartWorkers()
		wait(time.Hour)
		if runs != 2 {
			t.Errorf("runs = %d, want 2", runs)
		}
		h.StopWorkers()
	})
}
