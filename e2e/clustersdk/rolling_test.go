package clustersdk

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// drain is how long a member is not ready before it takes no more.
const drain = time.Second

// rolling is a cluster under load whose members are restarted in turn.
type rolling struct {
	*suite
	load      *load
	workers   []*worker
	mixed     wire.Item
	instances []wire.Instance // that every list must have
	outages   [][]outage      // of each member
}

// Issue 5: each member is stopped by SIGTERM, hands over leadership and clients,
// ends, and is started again, while clients of the SDKs and of HTTP publish, read
// and list. No operation of the Go and the Java SDK fails; over HTTP, where a client
// is bound to a member, operations fail at most while that member is down. And no
// answer is wrong: a config is what was acknowledged last, whoever wrote it where,
// and a list has all instances.
func TestRollingRestart(t *testing.T) {
	r := &rolling{suite: start(t, "server.drain="+drain.String()), load: newLoad(), mixed: service("rolling")}
	r.outages = make([][]outage, len(r.Nodes))
	r.sdkWorkers(t)
	r.httpWorkers()
	r.begin()
	defer r.load.stop()
	more(t, r.load.tallies, 10)
	for i, n := range r.Nodes {
		begin := time.Now()
		n.Stop()
		if code := n.ExitCode(); code != 0 {
			t.Errorf("exit code of member %d = %d, want 0", i, code)
		}
		stopped := time.Since(begin)
		more(t, r.free(i), 10)
		r.Start(i)
		r.outages[i] = append(r.outages[i], outage{begin.Add(drain), time.Now()})
		t.Logf("member %d was away for %v, %v of them stopping", i, time.Since(begin).Round(time.Millisecond), stopped.Round(time.Millisecond))
		r.Voters(len(r.Nodes))
		more(t, r.load.tallies, 10)
	}
	r.load.stop()
	r.judge(t)
}

// worker is one client under load. It has some configs of its own, since some SDKs
// limit how often they ask for one.
type worker struct {
	*tally
	client    client // of an SDK; unless member is one
	member    int    // -1: none, it is an SDK that roams
	instance  *wire.Instance
	published atomic.Int64 // the last number that was acknowledged
	before    *worker      // whose configs it reads too
}

const own = 20 // configs of a worker

func (w *worker) item(n int) wire.Item { return config(w.name + "-" + strconv.Itoa(n%own)) }

// sdkWorkers are clients of the SDKs, each in a process of its own, so that none
// waits for another.
func (r *rolling) sdkWorkers(t *testing.T) {
	t.Helper()
	for k, s := range sdks {
		for i := range s.roaming {
			d := r.drivers[k]
			if i > 0 {
				d = s.Start(t)
			}
			r.workers = append(r.workers, r.sdkWorker(t, s, d, len(r.workers)))
		}
	}
}

func (r *rolling) sdkWorker(t *testing.T, s sdk, d *drive.Driver, n int) *worker {
	t.Helper()
	c := client{d, s, fmt.Sprintf("%s-%d", s.Name, n)}
	c.must(t, wire.Command{Op: wire.Connect, Server: r.addresses(), Dir: d.Dir})
	at := instance(fmt.Sprintf("10.5.0.%d", n+1))
	c.must(t, wire.Command{Op: wire.Register, Item: r.mixed, Instance: &at})
	if !s.slowRedo {
		r.instances = append(r.instances, at)
	}
	return &worker{tally: &tally{name: c.name}, client: c, member: -1, instance: &at}
}

// httpWorkers are two for each member.
func (r *rolling) httpWorkers() {
	for n := range 2 * len(r.Nodes) {
		i := n % len(r.Nodes)
		r.workers = append(r.workers, &worker{tally: &tally{name: fmt.Sprintf("http-%d-of-member-%d", n, i)}, member: i})
	}
}

// free are the tallies of those that are not bound to a member.
func (r *rolling) free(i int) (out []*tally) {
	for _, w := range r.workers {
		if w.member != i {
			out = append(out, w.tally)
		}
	}
	return out
}

// begin puts the workers to work. Each reads what the one before it writes, so that
// all members and all SDKs read of each other.
func (r *rolling) begin() {
	for i, w := range r.workers {
		w.before = r.workers[(i+len(r.workers)-1)%len(r.workers)]
	}
	for _, w := range r.workers {
		round := r.sdkRound(w)
		if w.member >= 0 {
			round = r.httpRound(w)
		}
		r.load.add(w.tally, round)
	}
}

// judge counts.
func (r *rolling) judge(t *testing.T) {
	t.Helper()
	type sum struct{ done, failed, outside, wrong, excused int }
	sums, longest := map[string]*sum{}, map[string]time.Duration{}
	for _, w := range r.workers {
		kind, failures := "HTTP", w.failures
		if w.member < 0 {
			kind = w.client.Name
		} else {
			failures = w.outside(r.outages[w.member])
		}
		s := sums[kind]
		if s == nil {
			s = &sum{}
			sums[kind] = s
		}
		s.done, s.failed, s.outside, s.wrong = s.done+w.done, s.failed+len(w.failures), s.outside+len(failures), s.wrong+len(w.wrong)
		s.excused += w.excused
		longest[kind] = max(longest[kind], w.longest)
		if w.client.hasty {
			failures = nil // counted below
		}
		for _, f := range few(failures) {
			t.Errorf("%s: an operation failed after %v: %s", w.name, f.to.Sub(f.from).Round(time.Millisecond), f.what)
		}
		for _, what := range few(w.wrong) {
			t.Errorf("%s: wrong answer: %s", w.name, what)
		}
	}
	for kind, s := range sums {
		t.Logf("%s: %d operations, %d failed, %d of them with a member that was there, %d by the SDK's own closing, %d wrong answers, the longest took %v",
			kind, s.done, s.failed, s.outside, s.excused, s.wrong, longest[kind].Round(time.Millisecond))
	}
}
