package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/losefs"
	"github.com/easynet-cn/batata/e2e/node"
)

// site is a server on a disk whose power can be cut, with the clients that
// remember what it acknowledged. It belongs to one test; the goroutines of the
// load end with each run.
type site struct {
	t       *testing.T
	disk    *losefs.FS
	node    *node.Node
	clients []*client
	rng     *rand.Rand
	seed    uint64

	restarts []time.Duration // how long each took
}

// seedOf returns the seed of a test and prints it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(1)
	switch given := os.Getenv("BATATA_SEED"); {
	case given != "":
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("BATATA_SEED = %q, want a number", given)
		}
		seed = n
	case full():
		seed = rand.Uint64()
	}
	t.Logf("BATATA_SEED=%d", seed)
	return seed
}

// full tells whether the long set was asked for.
func full() bool { return os.Getenv("BATATA_E2E") == "full" }

// newSite mounts a disk and prepares a server on it without starting it.
func newSite(t *testing.T, clients int, seed uint64, o node.Options) *site {
	t.Helper()
	mountpoint := t.TempDir()
	disk, err := losefs.Mount(t.TempDir(), mountpoint, losefs.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Unmount(); err != nil {
			t.Error(err)
		}
	})
	o.Data = mountpoint
	s := &site{t: t, disk: disk, node: node.New(t, o), seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(s.punctual)
	for i := range clients {
		s.clients = append(s.clients, newClient(i, seed))
	}
	return s
}

// start starts the server and waits until it is ready.
func (s *site) start() {
	s.t.Helper()
	if err := s.node.Start(s.t.Context()); err != nil {
		s.t.Fatalf("seed %d: start = %v, want the server to be ready", s.seed, err)
	}
}

// load runs the clients until the server dies or stop returns true, asked with
// the number of acknowledged requests and the time since the start. It kills
// the server then, if it lives, and returns the number, and whether it had died
// by itself.
func (s *site) load(stop func(acked int64, since time.Duration) bool) (acked int64, died bool) {
	s.t.Helper()
	var count atomic.Int64
	wait := s.begin(s.t.Context(), &count)
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !died && !stop(count.Load(), time.Since(began)) {
		select {
		case <-s.node.Done():
			died = true
		case <-tick.C:
		}
	}
	s.node.Kill()
	if err := wait(); err != nil {
		s.t.Logf("seed %d: refused: %.500v", s.seed, err)
	}
	return count.Load(), died
}

// begin starts the clients, each until a request of it fails or the context
// ends. The function it returns waits for all and joins the refusals.
func (s *site) begin(ctx context.Context, acked *atomic.Int64) (wait func() error) {
	errs := make([]error, len(s.clients))
	var running sync.WaitGroup
	for i, c := range s.clients {
		running.Go(func() { errs[i] = c.write(ctx, s.node.URL(), acked) })
	}
	return func() error {
		running.Wait()
		return errors.Join(errs...)
	}
}

// crash cuts the power of the disk below the dead server.
func (s *site) crash(loss losefs.Loss) losefs.Report {
	s.t.Helper()
	report, err := s.disk.Crash(loss, s.rng.Uint64())
	if err != nil {
		s.t.Fatalf("seed %d: %v", s.seed, err)
	}
	return report
}

// verify checks every item after a restart against what its client knows. The
// error names the first few that are wrong.
func (s *site) verify() error { return s.judge((*item).found) }

// look does so without a restart.
func (s *site) look() error { return s.judge((*item).allows) }

func (s *site) judge(by func(*item, string) error) error {
	const named = 5
	of := make([][]error, len(s.clients))
	var running sync.WaitGroup
	for i, c := range s.clients {
		running.Go(func() { of[i] = c.verify(s.node.URL(), by) })
	}
	running.Wait()
	problems := slices.Concat(of...)
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d items are wrong: %w", len(problems), len(s.clients)*itemsPerOne, errors.Join(problems[:min(named, len(problems))]...))
}

// lossOf walks through the kinds of loss.
func lossOf(round int) losefs.Loss {
	return []losefs.Loss{losefs.All, losefs.Subset, losefs.Torn}[round%3]
}
