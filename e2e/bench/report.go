package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
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
	rows                  []measured
	sustained             []steadyRow
}

type measured struct {
	row row
	by  map[string]result // by target
}

type steadyRow struct {
	name        string
	first, last result
	rss         int64
}

var ceilingNames = map[string]string{"http": "H: echo", "grpc": "G: grpc-go", "etcd": "E1: etcd"}

// write prints the tables, and writes them to a file when one is named.
func (r *report) write(path string) error {
	var b bytes.Buffer
	r.head(&b)
	r.throughput(&b)
	r.steady(&b)
	r.process(&b)
	_, _ = os.Stdout.Write(b.Bytes())
	if path == "" {
		return nil
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func (r *report) head(b *bytes.Buffer) {
	fmt.Fprintf(b, "# Benchmarks\n\nOne run of `make bench` on %s. Server, ceilings and driver share one machine\nof %d cores, loopback, default durability everywhere; %d rounds of %v a cell, interleaved, medians.\nCompare the ratios of one run, never the figures of two.\n\n",
		r.started.Format("2006-01-02"), runtime.NumCPU(), r.options.rounds, r.options.cell)
	fmt.Fprintf(b, "The disk: 256 B into a preallocated file with fdatasync, %.1f k/s, p50 %v, p99 %v.\n\n",
		r.disk.rate/1000, r.disk.p50.Round(time.Microsecond), r.disk.p99.Round(time.Microsecond))
}

func (r *report) throughput(b *bytes.Buffer) {
	fmt.Fprint(b, "## Throughput\n\n| Row | Connections | Server | per second | of ceiling | p50 | p99 | server CPU per request | Goal |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range r.rows {
		ceiling := m.by[m.row.ceiling]
		line(b, m, ceilingNames[m.row.ceiling], ceiling, 1, "")
		for _, name := range slices.Sorted(maps.Keys(m.by)) {
			if name == m.row.ceiling {
				continue
			}
			line(b, m, name, m.by[name], m.by[name].rate/ceiling.rate, m.row.goal)
		}
	}
	fmt.Fprintln(b)
}

func line(b *bytes.Buffer, m measured, name string, res result, ratio float64, goal string) {
	fmt.Fprintf(b, "| %s | %d | %s | %.0f | %.2f | %v | %v | %v | %s |\n", m.row.name, m.row.conns, name,
		res.rate, ratio, res.p50.Round(time.Microsecond), res.p99.Round(10*time.Microsecond), res.cpu.Round(100*time.Nanosecond), goal)
}

func (r *report) steady(b *bytes.Buffer) {
	if len(r.sustained) == 0 {
		return
	}
	ceiling := r.sustained[0].last.rate
	fmt.Fprintf(b, "## Sustained publish\n\n64 connections, 256 B, distinct keys, %v without a pause; the last minute counts (GOAL-04).\n\n| Server | before the last minute, per second | last minute | of E1 | p99 | memory at the end |\n|---|---|---|---|---|---|\n", r.options.sustained)
	for _, s := range r.sustained {
		name := s.name
		if n, ok := ceilingNames[name]; ok {
			name = n
		}
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %.2f | %v | %d MB |\n", name, s.first.rate, s.last.rate, s.last.rate/ceiling, s.last.p99.Round(10*time.Microsecond), s.rss>>20)
	}
	fmt.Fprintln(b)
}

func (r *report) process(b *bytes.Buffer) {
	if r.binary == 0 {
		return
	}
	fmt.Fprint(b, "## Process\n\n| What | Measured | Goal |\n|---|---|---|\n")
	fmt.Fprintf(b, "| start to ready, empty | %v | GOAL-19 ≤ 0.2 s |\n", r.startEmpty.Round(time.Millisecond))
	if r.startFull > 0 {
		fmt.Fprintf(b, "| start to ready, %d configs | %v | GOAL-19 ≤ 2 s |\n", r.options.items, r.startFull.Round(time.Millisecond))
		fmt.Fprintf(b, "| memory with %d configs, just started | %d MB | |\n", r.options.items, r.rssFull>>20)
	}
	fmt.Fprintf(b, "| memory at rest, empty | %.1f MB | GOAL-18 ≤ 30 MB |\n", float64(r.rssIdle)/(1<<20))
	fmt.Fprintf(b, "| binary, stripped | %.1f MB | |\n", float64(r.binary)/(1<<20))
}
