package main

import (
	"fmt"
	"time"
)

// audience is one way to listen to a config.
type audience struct {
	name    string
	ceiling string
	open    func(s *setup, t *target, n int, bare bool) (*crowd, error)
}

func audiences() []audience {
	return []audience{
		{"fan-out, gRPC", "grpc", openListeners},
		{"fan-out, long poll", "http", openPolls},
	}
}

// changes of one crowd in one round; the first warms up.
const changes = 4

// fanout tells crowds of a change (BM-04, GOAL-10).
func (s *setup) fanout(rep *report) error {
	t := &table{
		title: "One change to everybody",
		intro: "A config that all clients listen to is published once (BM-04): the time from the request to\nthe first and to the last client that knows, and the CPU that the server spent for each of them,\nacknowledgement and publish included. The ceilings push a prepared message to all streams, or answer\nall parked requests.",
		head:  []string{"Row", "Clients", "Server", "first", "last", "last, of ceiling", "server CPU per push", "driver CPU per push", "missed", "Goal"},
	}
	rep.tables = append(rep.tables, t)
	for _, a := range audiences() {
		if !s.wants(a.name) {
			continue
		}
		if len(s.servers) == 0 {
			if err := s.up("grpc", "http"); err != nil {
				return err
			}
		}
		for _, n := range s.o.crowds {
			all, failed, err := contest(s, s.o.rounds, a.ceiling, func(to *target, bare bool) ([]wave, error) {
				return s.waves(a, to, n, bare)
			})
			if err != nil {
				return fmt.Errorf("%s, %d: %w", a.name, n, err)
			}
			t.waves(a, n, all)
			t.fail(fmt.Sprintf("%s, %d", a.name, n), failed)
		}
	}
	return nil
}

func (s *setup) waves(a audience, to *target, n int, bare bool) ([]wave, error) {
	c, err := a.open(s, to, n, bare)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var out []wave
	for k := 1; k <= changes; k++ {
		w, err := c.tell(k)
		if err != nil {
			return nil, err
		}
		if k > 1 {
			out = append(out, w)
		}
		if err := c.rearm(k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// waves adds the lines of one size of a crowd.
func (t *table) waves(a audience, n int, all map[string][][]wave) {
	lasts := map[string]time.Duration{}
	for _, name := range order(all) {
		var first, last, cpu, own []time.Duration
		missed := 0
		for _, round := range all[name] {
			for _, w := range round {
				first, last = append(first, w.first), append(last, w.last)
				cpu, own = append(cpu, w.cpu/time.Duration(n)), append(own, w.own/time.Duration(n))
				missed += w.missed
			}
		}
		lasts[name] = middle(last)
		goal := ""
		if name == ourName {
			goal = "GOAL-10 ≤ 0.9 of the best peer, ≤ 30 µs"
			if n >= 10_000 {
				goal = "GOAL-10 ≤ 0.5 s, ≤ 30 µs"
			}
		}
		t.add(a.name, n, shown(name), middle(first).Round(100*time.Microsecond), lasts[name].Round(100*time.Microsecond),
			ratio(lasts[name], lasts[a.ceiling]), middle(cpu).Round(100*time.Nanosecond), middle(own).Round(100*time.Nanosecond), missed, goal)
	}
}

func ratio[T int64 | float64 | time.Duration](a, b T) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}
