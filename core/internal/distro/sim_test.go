package distro

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// differences is the lines that not all pictures have; one that is empty does not
// count.
func differences(pictures []string) string {
	has := map[string][]int{}
	n := 0
	for i, p := range pictures {
		if p == "" {
			continue
		}
		n++
		for line := range strings.Lines(p) {
			has[line] = append(has[line], i)
		}
	}
	var b strings.Builder
	for _, line := range slices.Sorted(maps.Keys(has)) {
		if len(has[line]) < n {
			fmt.Fprintf(&b, "only %v: %s", has[line], line)
		}
	}
	return b.String()
}

// chaos lets members and links fail while clients come and go.
func (w *world) chaos(d time.Duration) {
	w.loss, w.slow = 0.2*w.rnd.Float64(), time.Duration(w.rnd.IntN(2000)+1)*time.Millisecond
	w.run(d, func() {
		switch x := w.rnd.IntN(1000); {
		case x < 60:
			w.join()
		case x < 100:
			w.leave()
		case x < 106:
			n := w.nodes[w.rnd.IntN(len(w.nodes))]
			if n.state != nil {
				w.kill(n)
			}
		case x < 116:
			for _, n := range w.nodes {
				if n.state == nil {
					w.start(n)
					break
				}
			}
		case x < 124:
			w.split()
		case x < 132:
			clear(w.cuts)
		}
	})
}

// split cuts some members off from the rest, or one link.
func (w *world) split() {
	some := w.rnd.IntN(1 << len(w.nodes))
	for i, a := range w.nodes {
		for j, b := range w.nodes {
			if i < j && (some>>i&1) != (some>>j&1) && w.rnd.IntN(4) > 0 {
				if _, is := w.cuts[pair(a.id, b.id)]; !is {
					w.cuts[pair(a.id, b.id)] = time.Now()
				}
			}
		}
	}
}

func (w *world) heal() {
	clear(w.cuts)
	w.loss, w.slow = 0, 100*time.Millisecond
	for _, n := range w.nodes {
		if n.state == nil {
			w.start(n)
		}
	}
}

var (
	seedFlag  = flag.Uint64("seed", 0, "run this one only; 0: a few that are new each time")
	runsFlag  = flag.Int("runs", 6, "how many seeds")
	chaosFlag = flag.Duration("chaos", 3*time.Minute, "time of the faults, in the bubble")
)

// TestMembersConverge: REL-21. After any faults all members that run show the
// same within ten seconds, nobody who left comes back, and in the end exactly the
// clients that live are registered.
func TestMembersConverge(t *testing.T) {
	seeds := []uint64{*seedFlag}
	if *seedFlag == 0 {
		seeds = nil
		for range *runsFlag {
			seeds = append(seeds, rand.Uint64()>>1|1)
		}
	}
	for _, seed := range seeds {
		members := 2 + int(seed%4)
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Logf("again: go test ./internal/distro -run %s -seed %d", "TestMembersConverge", seed)
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed, members)
				defer w.close()
				w.chaos(*chaosFlag)
				w.heal()
				w.equal(10*time.Second, "")
				w.run(21*time.Second, nil) // every client has connected again
				w.equal(10*time.Second, "")
				w.run(180*time.Second, nil)
				w.equal(step, w.model())
			})
		})
	}
}
