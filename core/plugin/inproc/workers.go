package inproc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// healthyAfter is how long a worker must have run for its backoff to start
	// anew.
	healthyAfter = 5 * time.Minute
	// leaderPoll is how often a worker looks whether this member leads.
	leaderPoll = 100 * time.Millisecond
)

type worker struct {
	name   string
	run    func(context.Context) error
	leader bool
}

// workers runs the supervised goroutines of one plugin: recovered, restarted
// with backoff, joined by stop.
type workers struct {
	logger *zap.Logger
	leads  func() bool
	all    []worker
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func (w *workers) add(x worker) { w.all = append(w.all, x) }

func (w *workers) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	for _, x := range w.all {
		w.group.Go(func() { w.supervise(ctx, x) })
	}
}

func (w *workers) stop() {
	if w.cancel != nil {
		w.cancel()
	}
	w.group.Wait()
}

// supervise runs x until it returns nil or ctx ends.
func (w *workers) supervise(ctx context.Context, x worker) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		begin := time.Now()
		err := w.once(ctx, x)
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, errDeposed) {
			continue
		}
		if time.Since(begin) > healthyAfter {
			backoff = firstBackoff
		}
		w.logger.Warn("worker failed, started again", zap.String("worker", x.name), zap.Duration("elapsed", backoff), zap.Error(err))
		pause(ctx, backoff)
		backoff = min(2*backoff, maxBackoff)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// errDeposed reports that a leader's worker ended with the leadership.
var errDeposed = errors.New("no longer the leader")

// once runs x, for a leader's worker while this member leads.
func (w *workers) once(ctx context.Context, x worker) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
			w.logger.Error("worker panicked", zap.String("worker", x.name), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
		}
	}()
	if !x.leader {
		return x.run(ctx)
	}
	for !w.leads() {
		if pause(ctx, leaderPoll); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return w.reign(ctx, x)
}

// reign runs a leader's worker under a context that ends with the leadership.
func (w *workers) reign(ctx context.Context, x worker) error {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		for ctx.Err() == nil && w.leads() {
			pause(ctx, leaderPoll)
		}
		cancel()
	})
	err := x.run(ctx)
	if ctx.Err() != nil {
		return errDeposed
	}
	return err
}
