package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// caller is one connection with one request in flight.
type caller interface {
	// do sends request n and waits for a good answer.
	do(n int) error
	close()
}

// result is one measured cell.
type result struct {
	rate     float64 // requests per second
	p50, p99 time.Duration
	cpu      time.Duration // of the server, per request
}

// drive runs callers in a closed loop for d, after a warm-up of a fifth of it.
// Any failed request fails the measurement.
func drive(ctx context.Context, callers []caller, d time.Duration, cpu func() time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, d+d/5)
	defer cancel()
	var (
		wg       sync.WaitGroup
		next     atomic.Int64
		measured atomic.Bool
		failure  atomic.Pointer[error]
		samples  = make([][]time.Duration, len(callers))
	)
	for i, c := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				if err := c.do(int(next.Add(1))); err != nil {
					failure.CompareAndSwap(nil, &err)
					cancel()
					return
				}
				if measured.Load() {
					samples[i] = append(samples[i], time.Since(start))
				}
			}
		})
	}
	wait(ctx, d/5)
	measured.Store(true)
	begin, used := time.Now(), cpu()
	wait(ctx, d)
	used, elapsed := cpu()-used, time.Since(begin)
	measured.Store(false)
	cancel()
	wg.Wait()
	if err := failure.Load(); err != nil {
		return result{}, fmt.Errorf("request: %w", *err)
	}
	return summarise(samples, elapsed, used), nil
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func summarise(samples [][]time.Duration, elapsed, used time.Duration) result {
	all := slices.Concat(samples...)
	if len(all) == 0 {
		return result{}
	}
	slices.Sort(all)
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p50:  all[len(all)/2],
		p99:  all[len(all)*99/100],
		cpu:  used / time.Duration(len(all)),
	}
}

// median picks the result with the middle rate.
func median(rs []result) result {
	slices.SortFunc(rs, func(a, b result) int {
		switch {
		case a.rate < b.rate:
			return -1
		case a.rate > b.rate:
			return 1
		}
		return 0
	})
	return rs[len(rs)/2]
}
