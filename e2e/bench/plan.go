package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// row is one line of the throughput table.
type row struct {
	name    string
	conns   int
	ceiling string // name of the target the ratios refer to
	goal    string
	open    func(s *setup, t *target, conns int) ([]caller, error)
	static  func(s *setup, t *target, conns int) ([]caller, error) // on the ceiling
}

// setup is the state of one run.
type setup struct {
	ctx      context.Context
	o        options
	dir      string
	servers  []*target          // the protocol's
	ceilings map[string]*target // by kind
	keys     keys
}

var (
	small = strings.Repeat("v", 256)
	five  = strings.Repeat("v", 5<<10)
)

func rows() []row {
	return []row{
		{name: "config get, HTTP, 200 B", conns: 64, ceiling: "http", goal: "GOAL-01 ≥ 0.85 H", open: openGet, static: openStatic},
		{name: "config query, gRPC, 200 B", conns: 64, ceiling: "grpc", goal: "GOAL-03 ≥ 0.9 G", open: openQuery, static: openEcho},
		{name: "config publish, HTTP, 256 B", conns: 64, ceiling: "etcd", goal: "GOAL-04 ≥ 1.5 E1", open: openPublish(small), static: openPut(small)},
		{name: "config publish, HTTP, 256 B", conns: 256, ceiling: "etcd", goal: "GOAL-04 ≥ 1.5 E1", open: openPublish(small), static: openPut(small)},
		{name: "config publish, gRPC, 256 B", conns: 64, ceiling: "etcd", goal: "GOAL-04 ≥ 1.5 E1", open: openPublishGRPC(small), static: openPut(small)},
		{name: "config publish, gRPC, 256 B", conns: 256, ceiling: "etcd", goal: "GOAL-04 ≥ 1.5 E1", open: openPublishGRPC(small), static: openPut(small)},
		{name: "config publish, HTTP, 5 KiB", conns: 64, ceiling: "etcd", open: openPublish(five), static: openPut(five)},
		{name: "config publish, HTTP, 256 B, one writer", conns: 1, ceiling: "etcd", open: openPublish(small), static: openPut(small)},
	}
}

func openMany(n int, open func() (caller, error)) ([]caller, error) {
	cs := make([]caller, 0, n)
	for range n {
		c, err := open()
		if err != nil {
			closeAll(cs)
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func closeAll(cs []caller) {
	for _, c := range cs {
		c.close()
	}
}

func openGet(_ *setup, t *target, conns int) ([]caller, error) {
	if err := publish(t, "hot", strings.Repeat("x", 200)); err != nil {
		return nil, err
	}
	req := getRequest("/nacos/v1/cs/configs?dataId=hot&group=" + group)
	return openMany(conns, func() (caller, error) { return dialHTTP(t.http(), req) })
}

func openStatic(_ *setup, t *target, conns int) ([]caller, error) {
	return openMany(conns, func() (caller, error) { return dialHTTP(t.http(), getRequest("/static")) })
}

func openQuery(s *setup, t *target, conns int) ([]caller, error) {
	if err := publish(t, "hot", strings.Repeat("x", 200)); err != nil {
		return nil, err
	}
	return openSDK(s, t, conns, queryPayload)
}

// openSDK opens registered connections.
func openSDK(s *setup, t *target, conns int, request func(int) []byte) ([]caller, error) {
	addr, err := t.grpc()
	if err != nil {
		return nil, err
	}
	return openMany(conns, func() (caller, error) {
		c, err := dialGRPC(addr, "/Request/request", request, succeeded)
		if err != nil {
			return nil, err
		}
		return c, c.register(s.ctx)
	})
}

func openEcho(_ *setup, t *target, conns int) ([]caller, error) {
	// A BytesValue of the size of a query; the answer is as long.
	body := append([]byte{0x0a, 0xac, 0x02}, make([]byte, 300)...)
	return openMany(conns, func() (caller, error) {
		return dialGRPC(t.http(), "/Request/request", func(int) []byte { return body }, anyAnswer)
	})
}

func openPublish(content string) func(*setup, *target, int) ([]caller, error) {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		req := publishRequest(s.keys.fresh(), content)
		return openMany(conns, func() (caller, error) { return dialHTTP(t.http(), req) })
	}
}

func openPublishGRPC(content string) func(*setup, *target, int) ([]caller, error) {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		return openSDK(s, t, conns, publishPayload(s.keys.fresh(), content))
	}
}

func openPut(content string) func(*setup, *target, int) ([]caller, error) {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		req := putRequest(s.keys.fresh(), content)
		return openMany(conns, func() (caller, error) { return dialGRPC(t.http(), "/etcdserverpb.KV/Put", req, anyAnswer) })
	}
}

// measure runs everything and writes the tables.
func measure(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &setup{ctx: ctx, o: o, dir: dir, ceilings: map[string]*target{}}
	defer s.stop()
	rep := &report{started: time.Now(), options: o}
	if rep.disk, err = fdatasync(dir, 2*time.Second); err != nil {
		return err
	}
	if err := s.startup(rep); err != nil {
		return err
	}
	if err := s.throughput(rep); err != nil {
		return err
	}
	if err := s.steady(rep); err != nil {
		return err
	}
	return rep.write(o.out)
}

func (s *setup) stop() {
	for _, t := range s.servers {
		if t.proc != nil {
			t.proc.stop()
		}
	}
	for _, t := range s.ceilings {
		t.proc.stop()
	}
}

// throughput measures every row, servers and ceiling in turn, for some rounds.
func (s *setup) throughput(rep *report) error {
	if s.o.server != "" {
		t, _, err := startServer(s.ctx, s.o.server, filepath.Join(s.dir, "batata"))
		if err != nil {
			return err
		}
		s.servers = append(s.servers, t)
	}
	for i := range s.o.targets {
		s.servers = append(s.servers, &s.o.targets[i])
	}
	for _, kind := range []string{"http", "grpc", "etcd"} {
		t, err := startCeiling(s.ctx, s.dir, kind)
		if err != nil {
			return err
		}
		s.ceilings[kind] = t
	}
	for _, r := range rows() {
		if !strings.Contains(r.name, s.o.only) {
			continue
		}
		m, err := s.row(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		rep.rows = append(rep.rows, m)
	}
	return nil
}

// row measures one row.
func (s *setup) row(r row) (measured, error) {
	m := measured{row: r, by: map[string]result{}}
	all := map[string][]result{}
	for range s.o.rounds {
		for _, t := range append([]*target{s.ceilings[r.ceiling]}, s.servers...) {
			open := r.open
			if t == s.ceilings[r.ceiling] {
				open = r.static
			}
			res, err := s.cell(t, r.conns, open)
			if err != nil {
				return m, fmt.Errorf("%s: %w", t.name, err)
			}
			all[t.name] = append(all[t.name], res)
		}
	}
	for name, rs := range all {
		m.by[name] = median(rs)
	}
	return m, nil
}

func (s *setup) cell(t *target, conns int, open func(*setup, *target, int) ([]caller, error)) (result, error) {
	cs, err := open(s, t, conns)
	if err != nil {
		return result{}, err
	}
	defer closeAll(cs)
	return drive(s.ctx, cs, s.o.cell, t.cpu)
}
