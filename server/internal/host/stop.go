package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/easynet-cn/batata/core/plugin"
)

// Stop takes everything down in reverse: not ready, a pause for balancers, parked
// requests answered, no new connections, connections ended, plugins shut down.
// It is legal at any point of a start, and idempotent. ctx bounds all of it; what
// has not ended by then is an error that names it.
func (h *Host) Stop(ctx context.Context, drain time.Duration) error {
	var errs []error
	step := func(name string, do func() error) { errs = append(errs, h.step(name, do)) }
	h.once.Do(func() {
		close(h.stopping)
		if h.accepting() {
			step("drain", func() error { return pause(ctx, drain) })
			step("answer parked requests", func() error { return h.drainPlugins(ctx) })
			if h.settings.Retire != nil {
				h.settings.Retire()
			}
			step("close connections", func() error { return h.closeServers(ctx) })
		}
		for _, b := range h.bound {
			if b.listener != nil {
				_ = b.listener.Close() // closed already by its server
			}
		}
		for _, r := range slices.Backward(h.plugins) {
			step("shut down "+r.Manifest.Name, func() error { return h.shutdown(ctx, r) })
		}
		step("join servers", func() error { return join(ctx, h.servers.Wait) })
	})
	return errors.Join(errs...)
}

// join waits for something that cannot be told to give up.
func join(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() { // ends with what it waits for
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Host) accepting() bool {
	return slices.ContainsFunc(h.bound, func(b *bound) bool { return b.mux != nil || b.cancel != nil })
}

// step runs and logs one part of a stop.
func (h *Host) step(name string, do func() error) error {
	begin := time.Now()
	err := do()
	fields := []zap.Field{zap.String("step", name), zap.Duration("elapsed", time.Since(begin))}
	if err != nil {
		h.logger.Warn("stop step failed", append(fields, zap.Error(err))...)
		return fmt.Errorf("%s: %w", name, err)
	}
	h.logger.Info("stop step", fields...)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Host) drainPlugins(ctx context.Context) error {
	var errs []error
	for _, r := range h.plugins {
		if d, ok := r.instance.(plugin.Drainer); ok {
			errs = append(errs, d.Drain(ctx))
		}
	}
	return errors.Join(errs...)
}

// graceful is how long requests and streams may go on before they are cut.
const graceful = 2 * time.Second

// closeServers ends the servers of all listeners at once. Requests under way may
// finish for a while; what is left then is cut.
func (h *Host) closeServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	var group errgroup.Group
	for _, b := range h.bound {
		if b.cancel != nil {
			b.cancel()
		}
		if b.mux == nil {
			continue
		}
		group.Go(b.mux.Close)
		group.Go(func() error {
			if b.http.Shutdown(ctx) != nil {
				return b.http.Close()
			}
			return nil
		})
		group.Go(func() error {
			b.grpc.Shutdown(ctx) // cuts streams that the plugin did not end in Drain
			return nil
		})
	}
	return group.Wait()
}

func (h *Host) shutdown(ctx context.Context, r *running) error {
	return errors.Join(join(ctx, r.host.StopWorkers), r.instance.Shutdown(ctx))
}
