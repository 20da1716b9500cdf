package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// Of the rolling restart: members of the service, clients that subscribe to it,
// and how many members are replaced a second.
const (
	members     = 1000
	subscribers = 5000
	replaced    = 50
)

// rolling is how subscribers saw a restart.
type rolling struct {
	pushes    int64
	bytes     int64
	converged time.Duration // from the last registration to the last subscriber
	slow      time.Duration // p50 of the subscribers
	cpu, own  time.Duration // of the server, of the driver
	took      time.Duration
	missed    int // subscribers that do not know in the end
	lost      int // of them, those whose connection the server ended
}

// restart replaces all members of a service one by one, while many subscribe to it
// (BM-09).
func (s *setup) restart(rep *report) error {
	const name = "rolling restart, gRPC"
	if !s.wants(name) {
		return nil
	}
	if err := s.up(); err != nil {
		return err
	}
	t := &table{
		title: "Rolling restart",
		intro: fmt.Sprintf("%d members of one service, each on a connection of its own, are ended and replaced, %d a second,\nwhile %d clients subscribe (BM-09). Each end and each start is a change: the merge ratio is how many of them\none push carried. Converged is the time from the last registration until all subscribers have it.", members, replaced, subscribers),
		head:  []string{"Row", "Server", "changes", "pushes", "merge ratio", "pushed", "converged, half", "converged, all", "server CPU", "driver CPU", "missed", "connections lost"},
	}
	rep.tables = append(rep.tables, t)
	all, failed, err := contest(s, 1, "", func(to *target, _ bool) (*rolling, error) { return s.roll(to) })
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, who := range order(all) {
		r := all[who][0]
		merge := float64(2*members) * subscribers / float64(max(r.pushes, 1))
		t.add(name, shown(who), 2*members, r.pushes, fmt.Sprintf("%.1f", merge), fmt.Sprintf("%.1f GB", float64(r.bytes)/(1<<30)),
			r.slow.Round(time.Millisecond), r.converged.Round(time.Millisecond),
			fmt.Sprintf("%.1f s in %.1f s", r.cpu.Seconds(), r.took.Seconds()), fmt.Sprintf("%.1f s", r.own.Seconds()), r.missed, r.lost)
	}
	t.fail(name, failed)
	return nil
}

func (s *setup) roll(to *target) (*rolling, error) {
	const service = "rolling"
	addr, err := to.grpc()
	if err != nil {
		return nil, err
	}
	d := swarm.NewDialer(swarm.Plan{Addr: addr, Module: "naming"})
	script := func(n int) [][]byte { return [][]byte{registerPayload(service, newInstance(service, churnOffset+n))} }
	pubs, err := openCrowd(s, to, 2*members)
	if err != nil {
		return nil, err
	}
	defer pubs.close()
	if err := pubs.fillEach(members, d, script); err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	if err := hasHosts(s.ctx, to, service, members); err != nil {
		return nil, err
	}
	subs, err := openSubscribers(s, to, service, subscribers)
	if err != nil {
		return nil, fmt.Errorf("subscribers: %w", err)
	}
	defer subs.close()
	out := &rolling{}
	var (
		pushes, size atomic.Int64
		knows        = make([]atomic.Int64, subscribers) // Unix ns
		known        atomic.Int64
	)
	last := newInstance(service, churnOffset+2*members-1)
	subs.hear(func(c *swarm.Client, m swarm.Message) {
		pushes.Add(1)
		size.Add(int64(m.Size))
		if m.Marked && knows[c.N].CompareAndSwap(0, m.At.UnixNano()) {
			known.Add(1)
		}
	})
	subs.mu.Lock()
	subs.patient = true
	subs.mu.Unlock()
	used, own, begin := to.cpu(), ownCPU(), time.Now()
	final, err := s.replace(pubs, d, script, func() { subs.swarm.Mark([]byte(`"ip":"` + last.IP + `"`)) })
	if err != nil {
		return nil, err
	}
	lost := func() int { subs.mu.Lock(); defer subs.mu.Unlock(); return subs.gone }
	for wave := time.Now(); int(known.Load())+lost() < subscribers && time.Since(wave) < 3*deadline && s.ctx.Err() == nil; {
		wait(s.ctx, 20*time.Millisecond)
	}
	out.took = time.Since(begin)
	quiet(s.ctx, to)
	out.cpu, out.own = to.cpu()-used, ownCPU()-own
	out.pushes, out.bytes, out.missed, out.lost = pushes.Load(), size.Load(), subscribers-int(known.Load()), lost()
	var delays []time.Duration
	for n := range knows {
		if at := knows[n].Load(); at != 0 {
			delays = append(delays, time.Unix(0, at).Sub(final))
		}
	}
	sorted(delays)
	out.slow, out.converged = percentile(delays, 50), percentile(delays, 100)
	return out, hasHosts(s.ctx, to, service, members)
}

// replace ends one member after the other and dials its successor; the last one
// registers when all others have, after last, at the time that is returned.
func (s *setup) replace(pubs *crowd, d *swarm.Dialer, script func(int) [][]byte, last func()) (time.Time, error) {
	begin := time.Now()
	for n := range members {
		wait(s.ctx, time.Until(begin.Add(time.Duration(n)*time.Second/replaced)))
		if n == members-1 {
			if _, err := pubs.until(deadline, func() bool { return pubs.ready == 2*members-1 }); err != nil {
				return time.Time{}, err
			}
			last()
		}
		pubs.swarm.Client(n).Close()
		if _, err := pubs.swarm.Dial(d, script(members+n)); err != nil {
			return time.Time{}, err
		}
	}
	final := time.Now()
	ok, err := pubs.until(deadline, func() bool { return pubs.ready == 2*members })
	if err == nil && !ok {
		err = fmt.Errorf("not all members came back")
	}
	return final, err
}
