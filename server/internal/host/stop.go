package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
)

// Stop takes everything down in reverse: not ready, a pause for balancers, no
// new connections, parked requests answered, connections ended, plugins shut
// down. It is legal at any point of a start, and idempotent. ctx bounds all of
// it.
func (h *Host) Stop(ctx context.Context, drain time.Duration) error {
	var errs []error
	h.once.Do(func() {
		close(h.stopping)
		if len(h.plugins) > 0 && h.accepting() {
			h.step("drain", func() error { return pause(ctx, drain) })
			h.step("answer parked requests", func() error { return h.drainPlugins(ctx) })
			h.step("close connections", func() error { return h.closeServers(ctx) })
		}
		for _, b := range h.bound {
			if b.listener != nil {
				_ = b.listener.Close() // closed already by its server
			}
		}
		for _, r := range slices.Backward(h.plugins) {
			errs = append(errs, h.step("shut down "+r.Manifest.Name, func() error { return h.shutdown(ctx, r) }))
		}
		h.servers.Wait()
	})
	return errors.Join(errs...)
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

func (h *Host) closeServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	var errs []error
	for _, b := range h.bound {
		if b.cancel != nil {
			b.cancel()
		}
		if b.mux == nil {
			continue
		}
		errs = append(errs, b.mux.Close())
		if err := b.http.Shutdown(ctx); err != nil {
			errs = append(errs, b.http.Close())
		}
		b.grpc.Stop() // clients hold their streams open for ever and reconnect elsewhere
	}
	return errors.Join(errs...)
}

func (h *Host) shutdown(ctx context.Context, r *running) error {
	r.host.StopWorkers()
	return r.instance.Shutdown(ctx)
}
