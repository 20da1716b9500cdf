package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// resting is what clients that do nothing cost.
type resting struct {
	sizes []int
	rss   []int64 // by size, after the empty server's
	empty int64
	cpu   time.Duration // per second, with the most clients; 0: not measured
	calls time.Duration // the same while each makes a health check every 5 s
}

// restTime is long enough for each silent client to be asked whether it lives
// (NAC-TIM-05), and for each long poll to be answered and sent again.
const restTime = 30 * time.Second

// checkEvery is how often a client without traffic calls (NAC-CON-30).
const checkEvery = 5 * time.Second

// idle measures memory of clients that do nothing, and what they cost in time
// (BM-16, GOAL-16, GOAL-22).
func (s *setup) idle(rep *report) error {
	t := &table{
		title: "Clients at rest",
		intro: fmt.Sprintf("Memory on a server that was just started, above that of the empty server, and CPU over %v:\nwith clients that say nothing and are asked whether they live, and with clients that make a health\ncheck every %v as SDKs do. A long poll is asked again every 29.5 s. The ceilings hold a bare stream and a\nparked request.", restTime, checkEvery),
		head:  []string{"Row", "Clients", "Server", "memory", "empty", "per client", "CPU, silent", "CPU, health checks", "Goal"},
	}
	rep.tables = append(rep.tables, t)
	for _, a := range []struct {
		audience
		goal string
	}{
		{audience{"at rest, gRPC", "grpc", openListeners}, "GOAL-16 ≤ 40 KB, GOAL-22 ≤ 3 %"},
		{audience{"at rest, long poll", "http", openPolls}, "GOAL-16 ≤ 18 KB, GOAL-22 ≤ 3 %"},
	} {
		if len(s.o.crowds) == 0 || !s.wants(a.name) {
			continue
		}
		if err := s.up(a.ceiling); err != nil {
			return err
		}
		all, failed, err := contest(s, 1, a.ceiling, func(to *target, bare bool) (*resting, error) {
			return s.rest(a.audience, to, bare)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		for _, name := range order(all) {
			r := all[name][0]
			for k, n := range r.sizes {
				silent, checks, goal := "", "", ""
				if k == len(r.sizes)-1 {
					silent, checks = percent(r.cpu), percent(r.calls)
				}
				if r.cpu == 0 {
					silent = ""
				}
				if r.calls == 0 {
					checks = ""
				}
				if name == ourName {
					goal = a.goal
				}
				t.add(a.name, n, shown(name), fmt.Sprintf("%.1f MB", float64(r.rss[k])/(1<<20)), fmt.Sprintf("%.1f MB", float64(r.empty)/(1<<20)),
					fmt.Sprintf("%.1f KB", float64(r.rss[k]-r.empty)/1024/float64(n)), silent, checks, goal)
			}
		}
		t.fail(a.name, failed)
	}
	return nil
}

func (s *setup) rest(a audience, to *target, bare bool) (*resting, error) {
	if to.proc == nil {
		return nil, fmt.Errorf("no process to look at")
	}
	r := &resting{sizes: []int{slices.Min(s.o.crowds), slices.Max(s.o.crowds)}}
	r.sizes = slices.Compact(r.sizes)
	quiet(s.ctx, to)
	wait(s.ctx, 2*time.Second)
	r.empty = to.rss()
	for k, n := range r.sizes {
		if err := s.restWith(a, to, n, bare, r, k == len(r.sizes)-1); err != nil {
			return nil, fmt.Errorf("%d clients: %w", n, err)
		}
	}
	return r, nil
}

func (s *setup) restWith(a audience, to *target, n int, bare bool, r *resting, most bool) error {
	c, err := a.open(s, to, n, bare)
	if err != nil {
		return err
	}
	defer c.close()
	quiet(s.ctx, to)
	wait(s.ctx, 5*time.Second)
	r.rss = append(r.rss, to.rss())
	if !most {
		return s.failed(c)
	}
	used := to.cpu()
	if !bare { // a ceiling asks nobody anything
		wait(s.ctx, restTime)
		r.cpu = (to.cpu() - used) / time.Duration(restTime.Seconds())
	}
	if err := s.failed(c); err != nil || a.ceiling != "grpc" {
		return err
	}
	check := swarm.Payload("HealthCheckRequest", []byte(`{"module":"internal"}`))
	used = to.cpu()
	if err := s.everyone(c, n, checkEvery, restTime/2, check); err != nil {
		return err
	}
	r.calls = (to.cpu() - used) / time.Duration((restTime / 2).Seconds())
	return s.failed(c)
}

// failed says what a crowd lost.
func (s *setup) failed(c *crowd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// everyone makes each client call once in every period, evenly spread, for a
// while.
func (s *setup) everyone(c *crowd, n int, period, length time.Duration, request []byte) error {
	begin := time.Now()
	total := int(int64(n) * int64(length) / int64(period))
	for k := 0; k < total && s.ctx.Err() == nil; {
		due := int(int64(n) * int64(time.Since(begin)) / int64(period))
		for ; k < min(due, total); k++ {
			if err := c.swarm.Client(k % n).Call(request); err != nil {
				return err
			}
		}
		wait(s.ctx, 2*time.Millisecond)
	}
	return nil
}
