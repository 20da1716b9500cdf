package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// writers fill a server.
const writers = 64

// fill sends n requests over many connections, each once.
func fill(ctx context.Context, t *target, n int, request func(n int) []byte) error {
	callers, err := openRequests(t, min(n, writers), request)
	if err != nil {
		return err
	}
	defer closeAll(callers)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for _, c := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				if err := c.do(k); err != nil {
					cancel(fmt.Errorf("fill: %w", err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// pace sends requests 0 to n at a fixed rate, whatever the answers take, and
// returns the time of each from when it was due.
func pace(ctx context.Context, callers []caller, rate, n int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	took := make([]time.Duration, n)
	begin := time.Now()
	for first, c := range callers {
		wg.Go(func() {
			for k := first; k < n && ctx.Err() == nil; k += len(callers) {
				due := begin.Add(time.Duration(k) * time.Second / time.Duration(rate))
				wait(ctx, time.Until(due))
				if err := c.do(k); err != nil {
					cancel(err)
				}
				took[k] = time.Since(due)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	slices.Sort(took)
	return took, nil
}

func sorted(d []time.Duration) []time.Duration {
	slices.Sort(d)
	return d
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

// middle is the median of values.
func middle[T int | int64 | float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

// hosts reads a list over HTTP V1.
func hosts(t *target, service string) ([]instance, error) {
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Get(t.url + listPath(service))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list of %s: %s", service, resp.Status)
	}
	var list struct{ Hosts []instance }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("list of %s: %w", service, err)
	}
	return list.Hosts, nil
}

// hasHosts waits until a list has n instances, all of them healthy: some servers
// answer before their lists show what they were told.
func hasHosts(ctx context.Context, t *target, service string, n int) error {
	var list []instance
	var err error
	for range 50 {
		if list, err = hosts(t, service); err != nil {
			return err
		}
		healthy := 0
		for _, h := range list {
			if h.Healthy {
				healthy++
			}
		}
		if healthy == n && len(list) == n {
			return nil
		}
		wait(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("%s has %d instances, want %d healthy ones", service, len(list), n)
}

// quiet waits until a server has nothing to do, or cannot be watched, for a
// while.
func quiet(ctx context.Context, t *target) {
	const look, limit = 50 * time.Millisecond, 10 * time.Second
	if t.proc == nil {
		wait(ctx, time.Second)
		return
	}
	calm := 0
	for begin, last := time.Now(), t.cpu(); calm < 4 && time.Since(begin) < limit && ctx.Err() == nil; {
		wait(ctx, look)
		now := t.cpu()
		if calm++; now-last > look/20 {
			calm = 0
		}
		last = now
	}
}
