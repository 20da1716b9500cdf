package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// rate of publishes while each listener has a config of its own, and for how long.
const (
	singleRate = 1500
	singleTime = 6 * time.Second
)

// spread is how publishes at a rate reached one listener each.
type spread struct {
	delays  []time.Duration // sorted; of those that arrived
	cpu     time.Duration   // of the server, per second
	missed  int
	answers []time.Duration // sorted
}

// single publishes at a rate while every client listens to a config of its own
// (BM-04, second half).
func (s *setup) single(rep *report) error {
	n := 0
	for _, size := range s.o.crowds {
		n = max(n, size)
	}
	const name = "one listener each, gRPC"
	if n == 0 || !s.wants(name) {
		return nil
	}
	if err := s.up(); err != nil {
		return err
	}
	t := &table{
		title: "A config for each listener",
		intro: fmt.Sprintf("%d publishes a second for %v, each of which concerns one of the clients (BM-04): the time from\nwhen a publish was due to the client that knows.", singleRate, singleTime),
		head:  []string{"Row", "Clients", "Server", "p50", "p99", "publish p99", "server CPU, of one core", "missed"},
	}
	rep.tables = append(rep.tables, t)
	all, failed, err := contest(s, 1, "", func(to *target, _ bool) (*spread, error) { return s.spread(to, n) })
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, who := range order(all) {
		r := all[who][0]
		t.add(name, n, shown(who), percentile(r.delays, 50).Round(100*time.Microsecond), percentile(r.delays, 99).Round(100*time.Microsecond),
			percentile(r.answers, 99).Round(100*time.Microsecond), percent(r.cpu), r.missed)
	}
	t.fail(name, failed)
	return nil
}

func percent(perSecond time.Duration) string {
	return fmt.Sprintf("%.1f %%", float64(perSecond)/float64(time.Second)*100)
}

func ownKey(n int) string { return fmt.Sprintf("own-%06d", n) }

func (s *setup) spread(to *target, n int) (*spread, error) {
	addr, err := to.grpc()
	if err != nil {
		return nil, err
	}
	total := int(singleTime.Seconds()) * singleRate
	var (
		mu     sync.Mutex // guards delays
		delays []time.Duration
		due    = make([]atomic.Int64, n) // Unix ns of the last publish for each client
		c      *crowd
	)
	if c, err = openCrowd(s, to, n); err != nil {
		return nil, err
	}
	defer c.close()
	c.hear(func(k *swarm.Client, m swarm.Message) {
		if at := due[k.N].Swap(0); at != 0 {
			mu.Lock()
			delays = append(delays, m.At.Sub(time.Unix(0, at)))
			mu.Unlock()
		}
	})
	d := swarm.NewDialer(swarm.Plan{Addr: addr, Module: "config"})
	if err := c.fillEach(n, d, func(k int) [][]byte { return [][]byte{listenPayload(ownKey(k), "")} }); err != nil {
		return nil, err
	}
	callers, err := openRequests(to, writers, func(k int) []byte {
		return publishRequest(func(k int) string { return ownKey(k % n) }, crowdContent(k))(k)
	})
	if err != nil {
		return nil, err
	}
	defer closeAll(callers)
	quiet(s.ctx, to)
	used, begin := to.cpu(), time.Now()
	for k := range min(n, total) {
		due[k].Store(begin.Add(time.Duration(k) * time.Second / singleRate).UnixNano())
	}
	answers, err := pace(s.ctx, callers, singleRate, min(n, total))
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(begin)
	wait(s.ctx, 3*time.Second)
	used = to.cpu() - used
	c.mu.Lock()
	lost := c.lost
	c.mu.Unlock()
	if lost != nil {
		return nil, lost
	}
	mu.Lock()
	defer mu.Unlock()
	return &spread{
		delays: sorted(delays), answers: answers, missed: min(n, total) - len(delays),
		cpu: time.Duration(float64(used) / elapsed.Seconds()),
	}, nil
}
