package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// setup is the state of one run.
type setup struct {
	ctx    context.Context
	o      options
	dir    string
	makers []maker // of the protocol's servers
	stages int
	keys   keys

	servers  []*target          // of the present stage
	ceilings map[string]*target // by kind
}

// measure runs everything and writes the tables.
func measure(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &setup{ctx: ctx, o: o, dir: dir}
	if o.server != "" {
		s.makers = append(s.makers, our(o.server))
	}
	s.makers = append(s.makers, o.peers...)
	rep := &report{started: time.Now(), options: o}
	if rep.disk, err = fdatasync(dir, 2*time.Second); err != nil {
		return err
	}
	for _, step := range []func(*report) error{
		s.startup, s.throughput, s.steady, s.trios, s.failover,
		s.fanout, s.single, s.latency, s.beating, s.restart, s.residents, s.idle,
	} {
		err := step(rep)
		s.down()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%w; so far:\n%s", err, rep.text())
		}
	}
	return rep.write(o.out)
}

// wants says whether a row was asked for.
func (s *setup) wants(name string) bool { return s.o.only == nil || s.o.only.MatchString(name) }

// up starts all servers anew, and ceilings of some kinds, each in an empty
// directory.
func (s *setup) up(kinds ...string) error {
	s.down()
	s.stages++
	dir := filepath.Join(s.dir, fmt.Sprintf("stage-%d", s.stages))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, m := range s.makers {
		t, err := m.start(s.ctx, dir)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, t)
	}
	s.ceilings = map[string]*target{}
	for _, kind := range kinds {
		t, err := startCeiling(s.ctx, dir, kind)
		if err != nil {
			return err
		}
		s.ceilings[kind] = t
	}
	return nil
}

// down stops them and removes what they wrote.
func (s *setup) down() {
	for _, t := range s.servers {
		t.stop()
	}
	for _, t := range s.ceilings {
		t.stop()
	}
	s.servers, s.ceilings = nil, nil
	_ = os.RemoveAll(filepath.Join(s.dir, fmt.Sprintf("stage-%d", s.stages)))
}

// throughput measures every row, servers and ceiling in turn, for some rounds.
func (s *setup) throughput(rep *report) error {
	rows := slices.Concat(readRows(), namingRows(), publishRows())
	return s.rows(&rep.rows, rows, func() error { return s.up("http", "grpc", "etcd") })
}

// rows measures those that are wanted, on what up starts.
func (s *setup) rows(into *[]measured, rows []row, up func() error) error {
	for _, r := range rows {
		if !s.wants(r.name) {
			continue
		}
		if len(s.servers) == 0 {
			if err := up(); err != nil {
				return err
			}
		}
		m, err := s.row(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		*into = append(*into, m)
	}
	return nil
}

// row measures one row.
func (s *setup) row(r row) (measured, error) {
	m := measured{row: r, by: map[string]result{}, failed: map[string]error{}}
	all := map[string][]result{}
	for range s.o.rounds {
		for _, t := range append([]*target{s.ceilings[r.ceiling]}, s.servers...) {
			open := r.open
			if t == s.ceilings[r.ceiling] {
				open = r.static
			}
			if m.failed[t.name] != nil {
				continue
			}
			res, err := s.cell(t, r.conns, open)
			switch {
			case err == nil:
				all[t.name] = append(all[t.name], res)
			case s.mayFail(t):
				m.failed[t.name] = err
			default:
				return m, fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	for name, rs := range all {
		if m.failed[name] == nil {
			m.by[name] = median(rs)
		}
	}
	return m, nil
}

// mayFail says whether a failure of a target leaves a blank; ours, and that of a
// ceiling, ends the run.
func (s *setup) mayFail(t *target) bool {
	return s.ctx.Err() == nil && !t.ours() && s.ceilings[t.name] != t
}

func (s *setup) cell(t *target, conns int, open opener) (result, error) {
	cs, err := open(s, t, conns)
	if err != nil {
		return result{}, err
	}
	defer closeAll(cs)
	return drive(s.ctx, cs, s.o.cell, t.cpu)
}

// contest runs a scenario against a ceiling, ours and the peers by turns, and
// collects what came out; "" as ceiling is none.
func contest[T any](s *setup, rounds int, ceiling string, f func(t *target, bare bool) (T, error)) (map[string][]T, map[string]error, error) {
	all, failed := map[string][]T{}, map[string]error{}
	targets := s.servers
	if c := s.ceilings[ceiling]; c != nil {
		targets = append([]*target{c}, targets...)
	}
	for range rounds {
		for _, t := range targets {
			if failed[t.name] != nil {
				continue
			}
			v, err := f(t, t == s.ceilings[ceiling])
			switch {
			case err == nil:
				all[t.name] = append(all[t.name], v)
			case s.mayFail(t):
				failed[t.name] = err
				delete(all, t.name)
			default:
				return nil, nil, fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	return all, failed, nil
}
