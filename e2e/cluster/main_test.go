package cluster

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the faults; 0: 1, and a random one in the long set")

func TestMain(m *testing.M) {
	if os.Getenv(coreChild) != "" {
		os.Exit(serveCore(os.Args[1:]))
	}
	flag.Parse()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// full says whether the long set was asked for.
func full() bool { return os.Getenv("BATATA_E2E") == "full" }

// seedOf returns the seed of a test and prints it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(1)
	switch env := os.Getenv("BATATA_SEED"); {
	case *seedFlag != 0:
		seed = *seedFlag
	case env != "":
		n, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			t.Fatalf("BATATA_SEED = %q, want a number", env)
		}
		seed = n
	case full():
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return seed
}

// either is a number of the short set and one of the long set.
func either[T any](short, long T) T {
	if full() {
		return long
	}
	return short
}

// site is a cluster under both loads.
type site struct {
	t       *testing.T
	c       *members.Cluster
	seed    uint64
	rng     *rand.Rand
	writers *writers
	chains  *chains
	starts  []time.Duration
}

// newSite starts members and the load, with the seed of the test.
func newSite(t *testing.T, o members.Options) *site {
	t.Helper()
	o.Seed = seedOf(t)
	return begin(t, o)
}

func begin(t *testing.T, o members.Options) *site {
	t.Helper()
	return work(t, members.Run(t, o), o.Seed)
}

// work puts both loads on members that run.
func work(t *testing.T, c *members.Cluster, seed uint64) *site {
	t.Helper()
	s := &site{t: t, c: c, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	s.writers = startWriters(s.c, s.seed, 4)
	s.chains = startChains(t, s.c, s.seed, 2, 4)
	t.Cleanup(func() { s.chains.cancel(); s.writers.cancel(); s.punctual() })
	return s
}

// punctual judges how long members took to be ready: most of them in time. One
// that was late on a busy machine says nothing.
func (s *site) punctual() {
	if len(s.starts) == 0 {
		return
	}
	slices.Sort(s.starts)
	median, last := s.starts[len(s.starts)/2], s.starts[len(s.starts)-1]
	s.t.Logf("%d starts of a member that finds a leader: median %v, longest %v",
		len(s.starts), median.Round(time.Millisecond), last.Round(time.Millisecond))
	if median > restartLimit {
		s.t.Errorf("members were ready %v after their start, want at most %v (REL-01)", median, restartLimit)
	}
}

// more waits until both loads get on.
func (s *site) more(n int64) {
	s.t.Helper()
	s.writers.more(s.t, n)
	s.chains.more(s.t, n)
}

// enough is how many acknowledged writes make a run that says something.
const enough = 100

// judge ends the load: nothing acknowledged is lost. It returns what was seen.
func (s *site) judge() (outcome, verdict) {
	s.t.Helper()
	o, v := s.writers.stop(s.t), s.chains.judge(s.t)
	if o.acked < enough || v.acked < enough/2 || v.reads < enough/2 {
		s.t.Errorf("the load was too small to say anything: %+v, %v", o, v)
	}
	if s.t.Failed() {
		s.t.Logf("this was seed %d", s.seed)
	}
	return o, v
}

// wait draws a time up to a limit and lets it pass.
func (s *site) wait(limit time.Duration) {
	s.t.Helper()
	members.Wait(s.t, time.Duration(s.rng.Int64N(int64(limit))))
}

// keep writes what explains a failure to a file that outlives the test.
func keep(t *testing.T, name string, data []byte) {
	t.Helper()
	dir := filepath.Join(node.Root(), ".cache", "chaos")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Log(err)
		return
	}
	path := filepath.Join(dir, t.Name()+"-"+name)
	if err := os.WriteFile(path, data, 0o644); err == nil {
		t.Logf("see %s", path)
	}
}
