package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// startup measures the time to the first served request and the memory at rest
// (BM-15, BM-16), on an empty directory and with many configs and persistent instances in it.
func (s *setup) startup(rep *report) error {
	if s.o.server == "" || !s.wants("start") {
		return nil
	}
	if info, err := os.Stat(s.o.server); err == nil {
		rep.binary = info.Size()
	}
	data := filepath.Join(s.dir, "start")
	t, took, err := startServer(s.ctx, s.o.server, data)
	if err != nil {
		return err
	}
	rep.startEmpty = took
	wait(s.ctx, 3*time.Second) // a server at rest, not one that just started
	rep.rssIdle = t.proc.rss()
	if s.o.items == 0 {
		t.proc.stop()
		return nil
	}
	if err = fill(s.ctx, t, s.o.items, publishRequest(s.keys.fresh(), small)); err == nil {
		err = fill(s.ctx, t, s.o.items, registerKept)
	}
	t.proc.stop()
	if err != nil {
		return err
	}
	if t, took, err = startServer(s.ctx, s.o.server, data); err != nil {
		return err
	}
	defer t.proc.stop()
	rep.startFull, rep.rssFull = took, t.proc.rss()
	return nil
}

// registerKept registers a persistent instance, ten to a service.
func registerKept(n int) []byte {
	i := newInstance("", n)
	i.Ephemeral = false
	return registerRequest(fmt.Sprintf("kept-%06d", n/10), i)
}

// steady publishes without a pause for minutes, since what is acknowledged may
// run ahead of what is applied on disk for a while (ARC-S15): the rate of the
// last minute is what counts. The etcd member runs as long. Peers are left out: the
// goal is against etcd, and they would take five minutes each.
func (s *setup) steady(rep *report) error {
	if s.o.sustained == 0 || !s.wants("sustained") {
		return nil
	}
	if err := s.up("etcd"); err != nil {
		return err
	}
	runs := []*target{s.ceilings["etcd"]}
	if s.o.server != "" {
		runs = append(runs, s.servers[0])
	}
	for _, t := range runs {
		open := openPublish(small)
		if t == s.ceilings["etcd"] {
			open = openPut(small)
		}
		minute := min(time.Minute, s.o.sustained/2)
		first, err := s.span(t, s.o.sustained-minute, open)
		if err != nil {
			return fmt.Errorf("sustained, %s: %w", t.name, err)
		}
		last, err := s.span(t, minute, open)
		if err != nil {
			return fmt.Errorf("sustained, %s: %w", t.name, err)
		}
		rep.sustained = append(rep.sustained, steadyRow{name: t.name, first: first, last: last, rss: t.rss()})
	}
	return nil
}

func (s *setup) span(t *target, d time.Duration, open func(*setup, *target, int) ([]caller, error)) (result, error) {
	cs, err := open(s, t, 64)
	if err != nil {
		return result{}, err
	}
	defer closeAll(cs)
	return drive(s.ctx, cs, d, t.cpu)
}
