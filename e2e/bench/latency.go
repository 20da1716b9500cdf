package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// first is how long one client waits for changes.
type first struct {
	delays []time.Duration // sorted
	pushes float64         // per change
}

// wanted is one row of the latency table.
type wanted struct {
	name, goal string
	samples    int
	run        func(s *setup, t *target, samples int) (*first, error)
}

func latencies() []wanted {
	return []wanted{
		{"first push, config, gRPC", "GOAL-11 p99 ≤ 20 ms", 200, configLatency(openListeners)},
		{"first push, config, long poll", "GOAL-11 p99 ≤ 20 ms", 200, configLatency(openPolls)},
		{"first push, instance, idle", "GOAL-11 ≤ 50 ms", 30, namingLatency(0)},
		{"first push, instance, 100 changes a second", "GOAL-11 ≤ 500 ms", 20, namingLatency(100)},
	}
}

// latency measures from a change to the first push (GOAL-11).
func (s *setup) latency(rep *report) error {
	t := &table{
		title: "From a change to the first push",
		intro: "One client waits and the server has nothing else to do, but for the changes of other instances\nof the same service in the last row: the time from the request that changes something to the push.",
		head:  []string{"Row", "Changes", "Server", "p50", "p99", "longest", "pushes per change", "Goal"},
	}
	rep.tables = append(rep.tables, t)
	for _, w := range latencies() {
		if !s.wants(w.name) {
			continue
		}
		if len(s.servers) == 0 {
			if err := s.up(); err != nil {
				return err
			}
		}
		all, failed, err := contest(s, 1, "", func(to *target, _ bool) (*first, error) { return w.run(s, to, w.samples) })
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		for _, name := range order(all) {
			f, goal := all[name][0], ""
			if name == ourName {
				goal = w.goal
			}
			t.add(w.name, w.samples, shown(name), percentile(f.delays, 50).Round(100*time.Microsecond), percentile(f.delays, 99).Round(100*time.Microsecond),
				percentile(f.delays, 100).Round(100*time.Microsecond), fmt.Sprintf("%.2f", f.pushes), goal)
		}
		t.fail(w.name, failed)
	}
	return nil
}

func configLatency(open func(*setup, *target, int, bool) (*crowd, error)) func(*setup, *target, int) (*first, error) {
	return func(s *setup, t *target, samples int) (*first, error) {
		c, err := open(s, t, 1, false)
		if err != nil {
			return nil, err
		}
		defer c.close()
		var delays []time.Duration
		quiet(s.ctx, t)
		for k := 1; k <= samples; k++ {
			if err := c.prepare(); err != nil {
				return nil, err
			}
			begin := time.Now()
			if err := c.change(k); err != nil {
				return nil, err
			}
			ok, err := c.until(deadline, func() bool { return len(c.hits) > 0 })
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("change %d was not told", k)
			}
			c.mu.Lock()
			delays = append(delays, c.hits[0].Sub(begin))
			c.hits = c.hits[:0]
			c.mu.Unlock()
			if err := c.rearm(k); err != nil {
				return nil, err
			}
			wait(s.ctx, 20*time.Millisecond)
		}
		return &first{delays: sorted(delays), pushes: 1}, nil
	}
}

// namingLatency registers one instance after the other, while others of the same
// service come and go at a rate.
func namingLatency(rate int) func(*setup, *target, int) (*first, error) {
	return func(s *setup, t *target, samples int) (*first, error) {
		const service = "watched"
		c, err := openSubscribers(s, t, service, 1)
		if err != nil {
			return nil, err
		}
		defer c.close()
		var (
			mu     sync.Mutex // guards pushes and marked
			pushes int
			marked = make(chan time.Time, 1)
		)
		c.hear(func(_ *swarm.Client, m swarm.Message) {
			mu.Lock()
			pushes++
			mu.Unlock()
			if m.Marked {
				select {
				case marked <- m.At:
				default:
				}
			}
		})
		writer, err := dialSDK(s, t, "naming")
		if err != nil {
			return nil, err
		}
		defer writer.close()
		other, err := dialSDK(s, t, "naming")
		if err != nil {
			return nil, err
		}
		defer other.close()
		stop, changed := s.churn(other, service, rate)
		var delays []time.Duration
		for k := range samples {
			if rate == 0 {
				wait(s.ctx, 700*time.Millisecond) // longer than any window is open
			}
			i := newInstance(service, churnOffset+k)
			c.swarm.Mark([]byte(`"ip":"` + i.IP + `"`))
			begin := time.Now()
			if err := writer.send(registerPayload(service, i)); err != nil {
				return nil, err
			}
			select {
			case at := <-marked:
				delays = append(delays, at.Sub(begin))
			case <-time.After(deadline):
				return nil, fmt.Errorf("change %d was not told", k)
			case <-s.ctx.Done():
				return nil, s.ctx.Err()
			}
		}
		if err := stop(); err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		return &first{delays: sorted(delays), pushes: float64(pushes) / float64(samples+*changed)}, nil
	}
}

// churn changes the port of one instance at a rate, until it is stopped; changed
// is valid after that.
func (s *setup) churn(writer *grpcCaller, service string, rate int) (stop func() error, changed *int) {
	changed = new(int)
	if rate == 0 {
		return func() error { return nil }, changed
	}
	quit, over := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		i := newInstance(service, churnOffset-1)
		for {
			select {
			case <-tick.C:
			case <-quit:
				over <- nil
				return
			}
			i.Port = 1024 + *changed%60_000
			*changed++
			if err := writer.send(registerPayload(service, i)); err != nil {
				<-quit
				over <- err
				return
			}
		}
	}()
	return func() error { close(quit); return <-over }, changed
}

// openSubscribers is a crowd that subscribes to one service.
func openSubscribers(s *setup, t *target, service string, n int) (*crowd, error) {
	addr, err := t.grpc()
	if err != nil {
		return nil, err
	}
	c, err := openCrowd(s, t, n)
	if err != nil {
		return nil, err
	}
	d := swarm.NewDialer(swarm.Plan{Addr: addr, Module: "naming", Script: [][]byte{subscribePayload(service)}})
	if err := c.fill(n, d); err != nil {
		c.close()
		return nil, err
	}
	quiet(s.ctx, t) // the push that follows a first subscription (NAC-NAM-30)
	wait(s.ctx, time.Second)
	c.mu.Lock()
	c.hits = c.hits[:0]
	c.mu.Unlock()
	return c, nil
}
