// Command bench measures Batata beside the ceilings of the machine, in one run.
//
// It starts the server it is given, and as ceilings an echo server (H), a
// grpc-go server (G) and an etcd member (E1), each as a process of its own on
// loopback with its default durability, and drives all of them with the same
// closed-loop clients, interleaved. Figures of a shared machine mean little by
// themselves: read the ratios. Any server that speaks the same protocol can be
// added by its base URL.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags of one run.
type options struct {
	server    string // binary
	ceiling   string // child mode: which ceiling to serve
	addr      string // child mode: where
	dir       string // child mode: data
	out       string // markdown file; empty: standard output only
	targets   []target
	cell      time.Duration // length of one measurement
	rounds    int
	sustained time.Duration // length of the sustained publish; 0: none
	items     int           // resident configs of the start measurement
	only      string
}

func run() error {
	var o options
	flag.StringVar(&o.server, "server", "", "server binary to start and measure")
	flag.StringVar(&o.ceiling, "ceiling", "", "serve one ceiling (internal): http, grpc or etcd")
	flag.StringVar(&o.addr, "addr", "", "address of the ceiling (internal)")
	flag.StringVar(&o.dir, "dir", "", "data directory of the ceiling (internal)")
	flag.StringVar(&o.out, "out", "", "markdown file to write the table to")
	flag.DurationVar(&o.cell, "cell", 5*time.Second, "length of one measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved rounds; the table shows medians")
	flag.DurationVar(&o.sustained, "sustained", 5*time.Minute, "length of the sustained publish, 0 to leave it out")
	flag.IntVar(&o.items, "items", 100_000, "configs to start with in the start measurement, 0 to leave it out")
	flag.StringVar(&o.only, "only", "", "only rows whose name contains this")
	flag.Func("target", "further server as name=http://host:port (repeatable)", func(s string) error {
		name, url, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want name=url, got %q", s)
		}
		o.targets = append(o.targets, target{name: name, url: url})
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.ceiling != "" {
		return serveCeiling(ctx, o)
	}
	return measure(ctx, o)
}
