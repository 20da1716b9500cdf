// Command bench measures Batata beside the ceilings of the machine, in one run.
//
// It starts the server it is given, and as ceilings an echo server (H), a
// grpc-go server (G) and an etcd member (E1), each as a process of its own on
// loopback with its default durability, or three members of ours and three of etcd
// (E3), and drives all of them with the same
// clients, interleaved. Figures of a shared machine mean little by themselves:
// read the ratios. Any server that speaks the same protocol can be added as a
// peer, by its base URL or by the command that starts it; what a peer cannot do is
// left blank, while a failure of ours ends the run.
//
// Rows of requests in a closed loop are in rows.go, the other scenarios in a file
// each; plan.go runs them all and report.go prints one document.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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
	peers     []maker
	cell      time.Duration // length of one measurement
	rounds    int
	sustained time.Duration // length of the sustained publish; 0: none
	items     int           // resident configs of the start measurement
	crowds    []int         // sizes of the audiences
	resident  []int         // instances
	failovers int
	name      string // child mode: of a member of a cluster
	cluster   string // child mode: its members
	only      *regexp.Regexp
}

func run() error {
	var o options
	o.crowds, o.resident = []int{1_000, 5_000, 10_000}, []int{100_000}
	flag.StringVar(&o.server, "server", "", "server binary to start and measure")
	flag.StringVar(&o.ceiling, "ceiling", "", "serve one ceiling (internal): http, grpc or etcd")
	flag.StringVar(&o.addr, "addr", "", "address of the ceiling (internal)")
	flag.StringVar(&o.dir, "dir", "", "data directory of the ceiling (internal)")
	flag.StringVar(&o.out, "out", "", "markdown file to write the tables to")
	flag.StringVar(&o.name, "name", "", "name of the member (internal)")
	flag.StringVar(&o.cluster, "cluster", "", "members of the cluster of the ceiling (internal)")
	flag.IntVar(&o.failovers, "failovers", 3, "how often the leader of a cluster is ended in each way, 0 to leave it out")
	flag.DurationVar(&o.cell, "cell", 5*time.Second, "length of one measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved rounds; the tables show medians")
	flag.DurationVar(&o.sustained, "sustained", 0, "length of the sustained publish, 0 to leave it out; its goal is for 5m")
	flag.IntVar(&o.items, "items", 100_000, "resident configs, and persistent instances, of the start measurement, 0 to leave it out")
	flag.Func("crowds", "sizes of audiences, with commas (default 1000,5000,10000)", numbers(&o.crowds))
	flag.Func("resident", "numbers of resident instances, with commas (default 100000); its goal is for 1000000", numbers(&o.resident))
	flag.Func("only", "only rows whose name matches this expression", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	flag.Func("peer", "further server as name=http://host:port, or name=command for a shell with PORT, GRPC_PORT and DATA set (repeatable)", func(s string) error {
		name, how, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want name=url or name=command, got %q", s)
		}
		o.peers = append(o.peers, peer(name, how))
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := raiseFileLimit(); err != nil {
		return err
	}
	if o.ceiling != "" {
		return serveCeiling(ctx, o)
	}
	return measure(ctx, o)
}

// numbers parses a list of counts.
func numbers(into *[]int) func(string) error {
	return func(s string) error {
		*into = nil
		for part := range strings.SplitSeq(s, ",") {
			if part == "" {
				continue
			}
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 {
				return fmt.Errorf("want counts with commas, got %q", s)
			}
			*into = append(*into, n)
		}
		return nil
	}
}

// raiseFileLimit lets this process, and those it starts, open as many files as
// the system permits: Go raises the limit for itself alone.
func raiseFileLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("file limit: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("file limit: %w", err)
	}
	return nil
}
