package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// resident is what many instances cost that are just there.
type resident struct {
	rss, empty   int64
	plain, whole float64 // live heap per instance, in bytes: registered, and all listed
	result       result  // of queries
	register     time.Duration
}

// perResident is how many instances a service has.
const perResident = 100

// kindOf resident.
type kindOf struct {
	name, goal string
	metadata   func(n int) map[string]string
}

// kinds of metadata: two pairs each. The shared ones keep an instance without a
// beat for an hour.
func kinds() []kindOf {
	shared := map[string]string{"preserved.heart.beat.timeout": "3600000", "preserved.ip.delete.timeout": "3600000"}
	return []kindOf{
		{"resident, shared metadata", "GOAL-17 ≤ 350 B, listed ≤ 700 B", func(int) map[string]string { return shared }},
		{"resident, private metadata", "GOAL-17 ≤ 390 B", func(n int) map[string]string {
			return map[string]string{"pod": "pod-" + strconv.Itoa(n), "started": strconv.Itoa(1_700_000_000 + n)}
		}},
	}
}

// privateMost is how many instances can be registered and looked at before the
// first is late with its beat.
const privateMost = 100_000

// residents measures memory and queries with many instances (BM-08, GOAL-17).
func (s *setup) residents(rep *report) error {
	t := &table{
		title: "Resident instances",
		intro: fmt.Sprintf("Registered over HTTP V1, each by a client of its own, %d in a service, two pairs of metadata (BM-08).\nBytes per instance are those of the live heap after a collection, above that of the empty server: after\nregistering, and after every service was listed once, which keeps its encoded form. Queries go round all services.", perResident),
		head:  []string{"Row", "Instances", "Server", "registered in", "live heap per instance", "all listed", "memory", "empty", "queries per second", "p99", "Goal"},
	}
	rep.tables = append(rep.tables, t)
	makers := s.makers
	defer func() { s.makers = makers }()
	if s.o.server != "" { // one that says how large its live heap is
		s.makers = append([]maker{our(s.o.server, "GODEBUG=gctrace=1")}, makers[1:]...)
	}
	for _, kind := range kinds() {
		for _, n := range s.o.resident {
			if !s.wants(kind.name) || kind.name != kinds()[0].name && n > privateMost {
				continue
			}
			if err := s.up(); err != nil {
				return err
			}
			all, failed, err := contest(s, 1, "", func(to *target, _ bool) (*resident, error) { return s.reside(to, n, kind) })
			if err != nil {
				return fmt.Errorf("%s, %d: %w", kind.name, n, err)
			}
			t.residents(kind, n, all)
			t.fail(fmt.Sprintf("%s, %d", kind.name, n), failed)
		}
	}
	return nil
}

func (t *table) residents(kind kindOf, n int, all map[string][]*resident) {
	bytes := func(v float64) string {
		if v == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f B", v)
	}
	for _, who := range order(all) {
		r, goal := all[who][0], ""
		if who == ourName {
			goal = kind.goal
			if n >= 1_000_000 {
				goal += ", memory ≤ 700 MB"
			}
		}
		t.add(kind.name, n, shown(who), r.register.Round(100*time.Millisecond), bytes(r.plain), bytes(r.whole),
			fmt.Sprintf("%d MB", r.rss>>20), fmt.Sprintf("%d MB", r.empty>>20), fmt.Sprintf("%.0f", r.result.rate), r.result.p99.Round(10*time.Microsecond), goal)
	}
}

func residentService(n int) string { return fmt.Sprintf("resident-%05d", n) }

func (s *setup) reside(to *target, n int, kind kindOf) (*resident, error) {
	out := &resident{empty: to.rss()}
	before, err := s.heap(to)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	err = fill(s.ctx, to, n, func(k int) []byte {
		i := newInstance("", k)
		i.Metadata = kind.metadata(k)
		return registerRequest(residentService(k/perResident), i)
	})
	if err != nil {
		return nil, err
	}
	out.register = time.Since(begin)
	services := n / perResident
	if err := hasHosts(s.ctx, to, residentService(services-1), perResident); err != nil {
		return nil, err
	}
	live, err := s.heap(to)
	if err != nil {
		return nil, err
	}
	out.plain = (live - before) / float64(n)
	list := func(k int) []byte { return getRequest(listPath(residentService(k % services)))(k) }
	if err := fill(s.ctx, to, services, list); err != nil {
		return nil, err
	}
	if live, err = s.heap(to); err != nil {
		return nil, err
	}
	out.whole = (live - before) / float64(n)
	callers, err := openRequests(to, writers, list)
	if err != nil {
		return nil, err
	}
	defer closeAll(callers)
	if out.result, err = drive(s.ctx, callers, s.o.cell, to.cpu); err != nil {
		return nil, err
	}
	out.rss = to.rss()
	return out, nil
}

// collected is a line that Go writes after each collection: the heap when it began,
// when it ended, and what of it is live.
var collected = regexp.MustCompile(`(?m)^gc (\d+) @.* \d+->\d+->(\d+) MB, `)

// refused is a long request that leaves nothing behind.
var refused = "dataId=%21&group=" + group + "&content=" + strings.Repeat("x", 128<<10)

// heap is the live heap of our server after a collection that began from now on, in
// bytes; 0 for others. Requests that are refused make the collection come.
func (s *setup) heap(to *target) (float64, error) {
	if !to.ours() {
		return 0, nil
	}
	collections := func() (n int, live float64, err error) {
		log, err := os.ReadFile(to.proc.log)
		if err != nil {
			return 0, 0, err
		}
		if all := collected.FindAllSubmatch(log, -1); len(all) > 0 {
			last := all[len(all)-1]
			n, _ = strconv.Atoi(string(last[1]))
			mb, _ := strconv.Atoi(string(last[2]))
			live = float64(mb) * (1 << 20)
		}
		return n, live, nil
	}
	first, _, err := collections()
	if err != nil {
		return 0, err
	}
	for begin := time.Now(); time.Since(begin) < time.Minute && s.ctx.Err() == nil; {
		for range 64 { // one after the other: what is on its way counts as live
			resp, err := client.Post(to.url+"/nacos/v1/cs/configs", "application/x-www-form-urlencoded", strings.NewReader(refused))
			if err != nil {
				return 0, err
			}
			_ = resp.Body.Close()
		}
		n, live, err := collections()
		if err != nil {
			return 0, err
		}
		if n >= first+2 { // the first may have begun before
			return live, nil
		}
	}
	return 0, fmt.Errorf("no collection within a minute")
}
