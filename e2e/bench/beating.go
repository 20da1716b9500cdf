package main

import (
	"fmt"
	"time"
)

// beatEvery is how often an instance beats (NAC-TIM-01).
const beatEvery = 5 * time.Second

// beatTime is longer than an instance may be silent (NAC-H1N-25).
const beatTime = 25 * time.Second

// beats is what beating instances cost.
type beats struct {
	took []time.Duration // sorted
	cpu  time.Duration   // per second
	lost int             // instances that are not listed as healthy at the end
}

// beating keeps 20,000 instances alive by beats (BM-06).
func (s *setup) beating(rep *report) error {
	const name = "20,000 beating instances, HTTP V1"
	if !s.wants(name) {
		return nil
	}
	if err := s.up("http"); err != nil {
		return err
	}
	t := &table{
		title: "Beating instances",
		intro: fmt.Sprintf("%d instances in %d services, each with a light beat every %v for %v, over %d connections: the time\nof a beat from when it was due. The ceiling parses the same forms. Lost is what is not healthy in the end.", allBeating, services, beatEvery, beatTime, writers),
		head:  []string{"Row", "beats per second", "Server", "p50", "p99", "server CPU, of one core", "lost"},
	}
	rep.tables = append(rep.tables, t)
	rate := int(float64(allBeating) / beatEvery.Seconds())
	all, failed, err := contest(s, 1, "http", func(to *target, bare bool) (*beats, error) { return s.beats(to, rate, bare) })
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, who := range order(all) {
		b := all[who][0]
		t.add(name, rate, shown(who), percentile(b.took, 50).Round(10*time.Microsecond), percentile(b.took, 99).Round(10*time.Microsecond), percent(b.cpu), b.lost)
	}
	t.fail(name, failed)
	return nil
}

func (s *setup) beats(to *target, rate int, bare bool) (*beats, error) {
	if !bare {
		if err := s.registerAll(to); err != nil {
			return nil, err
		}
	}
	callers, err := openRequests(to, writers, beatRequest)
	if err != nil {
		return nil, err
	}
	defer closeAll(callers)
	out := &beats{}
	used, begin := to.cpu(), time.Now()
	if out.took, err = pace(s.ctx, callers, rate, rate*int(beatTime.Seconds())); err != nil {
		return nil, err
	}
	out.cpu = time.Duration(float64(to.cpu()-used) / time.Since(begin).Seconds())
	if bare {
		return out, nil
	}
	out.lost = allBeating
	for n := range services {
		list, err := hosts(to, serviceName(n))
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			if h.Healthy {
				out.lost--
			}
		}
	}
	return out, nil
}
