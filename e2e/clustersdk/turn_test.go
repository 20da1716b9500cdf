package clustersdk

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// turn is what goes on while members fail: clients that roam, and one of the Go
// SDK bound to each member; a config that changes all the time; a service with an
// instance of each client that roams, and one with a persistent instance.
type turn struct {
	*suite
	roaming, bound []client
	live           wire.Item
	mixed          wire.Item
	instances      []wire.Instance // those of the roaming clients first, in their order
	quick          []wire.Instance // those that are never to be missing
	steps          int
	views          map[string]*view // of clients, by name
	publisher      *publisher
	anew           int // changes made again for SDKs that lose pushes
}

var fixed = service("fixed")

// Issue 5, REL-07, REL-10, REL-20, REL-21, FLT-04, ARC-A07: each member is killed,
// started, stopped and started. After each step every member that runs lists all
// instances, every client is told the last change of the config and sees all
// instances, and what one client writes another reads at once. At the end the log
// of each client is judged: no config goes back or is empty, no instance was ever
// missing.
func (s *suite) inTurn(t *testing.T) {
	r := s.prepare(t)
	r.publisher.begin()
	defer r.publisher.end()
	r.settled(t, "at the beginning")
	for i, n := range s.Nodes {
		n.Kill()
		r.settled(t, fmt.Sprintf("member %d killed", i))
		r.back(t, i)
		n.Stop()
		r.settled(t, fmt.Sprintf("member %d stopped", i))
		r.back(t, i)
	}
	r.sum(t)
}

func (s *suite) prepare(t *testing.T) *turn {
	t.Helper()
	r := &turn{suite: s, live: config("live"), mixed: service("mixed"), views: map[string]*view{}}
	r.publisher = &publisher{item: r.live, nodes: s.Nodes, http: s.http, period: 500 * time.Millisecond}
	if err := r.publisher.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, n := range s.Nodes {
		r.bound = append(r.bound, s.connect(t, 0, "bound to member "+strconv.Itoa(i), address(n)))
	}
	for k := range sdks {
		for i := range sdks[k].roaming {
			r.roaming = append(r.roaming, s.connect(t, k, "roaming "+strconv.Itoa(i), s.addresses()))
		}
	}
	for n, c := range r.roaming {
		own := instance(fmt.Sprintf("10.3.0.%d", n+1))
		c.must(t, wire.Command{Op: wire.Register, Item: r.mixed, Instance: &own})
		r.instances = append(r.instances, own)
		if !c.slowRedo {
			r.quick = append(r.quick, own)
		}
	}
	s.persistent(t, fixed, "10.3.1.1")
	for _, c := range r.clients() {
		c.must(t, wire.Command{Op: wire.Listen, Item: r.live})
		c.must(t, wire.Command{Op: wire.Subscribe, Item: r.mixed})
	}
	return r
}

// clients are those that can be served: the roaming ones and those bound to a
// member that runs.
func (r *turn) clients() []client {
	out := append([]client(nil), r.roaming...)
	for i := range r.running() {
		out = append(out, r.bound[i])
	}
	return out
}

// back starts a member again and waits until it counts.
func (r *turn) back(t *testing.T, i int) {
	t.Helper()
	if err := r.Nodes[i].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Voters(len(r.Nodes))
	r.settled(t, fmt.Sprintf("member %d started", i))
}

// settled waits until everything is as it should be after a step.
func (r *turn) settled(t *testing.T, step string) {
	t.Helper()
	begin := time.Now()
	listed := r.registered(t, r.mixed, redone, r.instances)
	r.registered(t, fixed, told, []wire.Instance{{IP: "10.3.1.1", Port: 8080}})
	for _, c := range r.clients() {
		c.awake(t)
	}
	r.mark(t)
	r.registered(t, r.mixed, told, r.instances)
	for _, c := range r.clients() {
		if !c.sees(r.mixed, redone, r.instances) {
			last, _ := c.Feed(c.name, r.mixed).Last()
			t.Fatalf("%s: %s sees %v, want %v", step, c.name, keys(last.Instances), keys(r.instances))
		}
	}
	r.crossing(t, step)
	r.quiet(t, step)
	r.judge(t, step)
	if t.Failed() {
		for i := range r.running() {
			t.Logf("member %d: %v fresh reads answered from local state", i, r.Metric(i, "batata_core_fresh_fallbacks_total"))
		}
	}
	t.Logf("%s: instances listed everywhere after %v, all well after %v", step,
		listed.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
}

// mark has one client after the other register its instance anew, with another
// metadata, so that there is something to tell after each step.
func (r *turn) mark(t *testing.T) {
	t.Helper()
	i := r.steps % len(r.roaming)
	r.steps++
	r.instances[i].Metadata = map[string]string{stepKey: strconv.Itoa(r.steps)}
	r.roaming[i].must(t, wire.Command{Op: wire.Register, Item: r.mixed, Instance: &r.instances[i]})
}

// crossing has each client publish a config of its own and another client, and
// every member over HTTP, read it at once.
func (r *turn) crossing(t *testing.T, step string) {
	t.Helper()
	all := r.clients()
	for n, writer := range all {
		own := config("crossing-" + strconv.Itoa(n))
		content := fmt.Sprintf("%s, by %s", step, writer.name)
		writer.publish(t, own, content)
		all[(n+1)%len(all)].wantContent(t, own, content)
		r.everywhere(t, own, content)
	}
}

// quiet pauses the publisher until every client has heard the last number. For
// SDKs that lose pushes one more is published, a few times.
func (r *turn) quiet(t *testing.T, step string) {
	t.Helper()
	p := r.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range r.clients() {
		limit, tries := told, 1
		if c.losesPush {
			limit, tries = lost, 4
		}
		for !c.heard(r.live, limit, value(p.last)) {
			if tries--; tries == 0 {
				last, _ := c.Feed(c.name, r.live).Last()
				t.Fatalf("%s: %s was not told %q within %v, but %q", step, c.name, value(p.last), limit, last.Content)
			}
			ctx, cancel := context.WithTimeout(t.Context(), told)
			err := p.next(ctx)
			cancel()
			if err != nil {
				t.Fatalf("%s: publish anew: %v", step, err)
			}
			r.anew++
		}
	}
}

// view is how far the logs of a client are judged.
type view struct {
	configs, lists int
	number         int  // the highest that it was told
	complete       bool // it has seen all instances
}

// judge looks at what clients were told since the last step.
func (r *turn) judge(t *testing.T, step string) {
	t.Helper()
	for _, c := range slices.Concat(r.roaming, r.bound) {
		v := r.views[c.name]
		if v == nil {
			v = &view{}
			r.views[c.name] = v
		}
		told := c.Feed(c.name, r.live).All()
		for _, m := range told[v.configs:] {
			n := number(m.Content)
			if n < 0 || n < v.number {
				t.Errorf("%s: %s was told %q after number %d", step, c.name, m.Content, v.number)
			}
			v.number = max(v.number, n)
		}
		lists := c.Feed(c.name, r.mixed).All()
		for _, m := range lists[v.lists:] {
			if gone := missing(m.Instances, r.quick); len(gone) == 0 {
				v.complete = true
			} else if v.complete {
				t.Errorf("%s: %s was told a list without %v: %v", step, c.name, gone, keys(m.Instances))
			}
		}
		v.configs, v.lists = len(told), len(lists)
	}
}

// sum tells how much was judged.
func (r *turn) sum(t *testing.T) {
	t.Helper()
	changes, lists := 0, 0
	for _, v := range r.views {
		changes, lists = changes+v.configs, lists+v.lists
	}
	t.Logf("%d changes of the config, told %d times to %d clients, %d made anew for SDKs that lose pushes; %d lists of instances",
		r.publisher.last, changes, len(r.views), r.anew, lists)
}
