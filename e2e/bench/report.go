package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is everything one run measured.
type report struct {
	started               time.Time
	options               options
	disk                  result
	binary                int64
	startEmpty, startFull time.Duration
	rssIdle, rssFull      int64
	rows, trios           []measured
	sustained             []steadyRow
	tables                []*table
}

type measured struct {
	row    row
	by     map[string]result // by target
	failed map[string]error
}

type steadyRow struct {
	name        string
	first, last result
	rss         int64
}

// table is one of a scenario of its own.
type table struct {
	title, intro string
	head         []string
	lines        [][]string
	notes        []string
}

func (t *table) add(cells ...any) {
	line := make([]string, len(cells))
	for i, c := range cells {
		line[i] = fmt.Sprint(c)
	}
	t.lines = append(t.lines, line)
}

// fail notes why a peer has no line.
func (t *table) fail(what string, failed map[string]error) {
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		t.notes = append(t.notes, note(what, name, failed[name]))
	}
}

func note(what, name string, err error) string {
	text := err.Error()
	return fmt.Sprintf("%s, %s: not measured, %s", what, name, strings.ReplaceAll(text[:min(len(text), 160)], "\n", " "))
}

var ceilingNames = map[string]string{"http": "H: echo", "grpc": "G: grpc-go", "etcd": "E1: etcd", etcdTrio: "E3: etcd, three"}

// shown is the name of a target in a table.
func shown(name string) string {
	if n, ok := ceilingNames[name]; ok {
		return n
	}
	return name
}

// order puts the ceiling first, then ours, then the peers.
func order[T any](by map[string]T) []string {
	rank := func(name string) int {
		switch {
		case ceilingNames[name] != "":
			return 0
		case name == ourName:
			return 1
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// write prints the tables, and writes them to a file when one is named.
func (r *report) write(path string) error {
	b := r.text()
	_, _ = os.Stdout.Write(b)
	if path == "" {
		return nil
	}
	return os.WriteFile(path, b, 0o644)
}

func (r *report) text() []byte {
	var b bytes.Buffer
	r.head(&b)
	r.throughput(&b)
	r.steady(&b)
	r.three(&b)
	for _, t := range r.tables {
		t.write(&b)
	}
	r.process(&b)
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func (r *report) head(b *bytes.Buffer) {
	fmt.Fprintf(b, "# Benchmarks\n\nOne run of the benchmark driver, `e2e/bench`, on %s. Servers, ceilings and driver\nshare one machine of %d cores, loopback, default durability everywhere; %d rounds of %v\na cell, interleaved, medians. Compare the ratios of one run, never the figures of two.\n\n",
		r.started.Format("2006-01-02"), runtime.NumCPU(), r.options.rounds, r.options.cell)
	fmt.Fprintf(b, "The disk: 256 B into a preallocated file with fdatasync, %.1f k/s, p50 %v, p99 %v.\n\n",
		r.disk.rate/1000, r.disk.p50.Round(time.Microsecond), r.disk.p99.Round(time.Microsecond))
}

func (r *report) throughput(b *bytes.Buffer) {
	t := table{
		title: "Throughput",
		intro: "A closed loop on each connection. Over gRPC each connection registers and deregisters by\nturns, every time another port; registering over HTTP goes round 20,000 instances in 100 services, every\ntime with another weight, so that each request changes something.",
	}
	t.measured(r.rows)
	t.write(b)
}

func (r *report) three(b *bytes.Buffer) {
	t := table{
		title: "Three members",
		intro: "Three processes of each cluster, all syncing to one disk; a third of the connections on each member\nunless said otherwise, for etcd too. Server CPU is that of the three together.",
	}
	t.measured(r.trios)
	t.write(b)
}

// measured fills a table with rows of requests.
func (t *table) measured(rows []measured) {
	t.head = []string{"Row", "Connections", "Server", "per second", "of ceiling", "p50", "p99", "server CPU per request", "Goal"}
	for _, m := range rows {
		ceiling := m.by[m.row.ceiling]
		for _, name := range order(m.by) {
			res, as, goal := m.by[name], shown(name), ""
			if name == m.row.ceiling && m.row.label != "" {
				as = m.row.label
			}
			if name == ourName {
				goal = m.row.goal
			}
			t.add(m.row.name, m.row.conns, as, fmt.Sprintf("%.0f", res.rate), fmt.Sprintf("%.2f", res.rate/ceiling.rate),
				res.p50.Round(time.Microsecond), res.p99.Round(10*time.Microsecond), res.cpu.Round(100*time.Nanosecond), goal)
		}
		t.fail(m.row.name, m.failed)
	}
}

func (r *report) steady(b *bytes.Buffer) {
	if len(r.sustained) == 0 {
		return
	}
	t := table{
		title: "Sustained publish",
		intro: fmt.Sprintf("64 connections, 256 B, distinct keys, %v without a pause; the last minute counts (GOAL-04).", r.options.sustained),
		head:  []string{"Server", "before the last minute, per second", "last minute", "of E1", "p99", "memory at the end"},
	}
	ceiling := r.sustained[0].last.rate
	for _, s := range r.sustained {
		t.add(shown(s.name), fmt.Sprintf("%.0f", s.first.rate), fmt.Sprintf("%.0f", s.last.rate), fmt.Sprintf("%.2f", s.last.rate/ceiling),
			s.last.p99.Round(10*time.Microsecond), fmt.Sprintf("%d MB", s.rss>>20))
	}
	t.write(b)
}

func (r *report) process(b *bytes.Buffer) {
	if r.binary == 0 {
		return
	}
	t := table{title: "Process", head: []string{"What", "Measured", "Goal"}}
	t.add("start to ready, empty", r.startEmpty.Round(time.Millisecond), "GOAL-19 ≤ 0.2 s")
	if r.startFull > 0 {
		t.add(fmt.Sprintf("start to ready, %d configs and as many persistent instances", r.options.items), r.startFull.Round(time.Millisecond), "GOAL-19 ≤ 2 s")
		t.add(fmt.Sprintf("memory with %d of each, just started", r.options.items), fmt.Sprintf("%d MB", r.rssFull>>20), "")
	}
	t.add("memory at rest, empty", fmt.Sprintf("%.1f MB", float64(r.rssIdle)/(1<<20)), "GOAL-18 ≤ 30 MB")
	t.add("binary, stripped", fmt.Sprintf("%.1f MB", float64(r.binary)/(1<<20)), "")
	t.write(b)
}

func (t *table) write(b *bytes.Buffer) {
	if len(t.lines)+len(t.notes) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s\n\n", t.title)
	if t.intro != "" {
		fmt.Fprintf(b, "%s\n\n", t.intro)
	}
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, l := range t.lines {
		fmt.Fprintf(b, "| %s |\n", strings.Join(l, " | "))
	}
	fmt.Fprintln(b)
	for _, n := range t.notes {
		fmt.Fprintf(b, "%s\n\n", n)
	}
}
