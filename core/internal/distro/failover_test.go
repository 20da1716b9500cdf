package distro

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// place puts a client with one instance on a member, or without a connection.
func (w *world) place(scope string, at *node, services ...string) *client {
	w.serial++
	c := &client{scope: scope, host: fmt.Sprintf("host-%05d", w.serial), port: 80, node: at, services: services}
	w.clients = append(w.clients, c)
	w.register(c)
	return c
}

// vanish ends a member and, with it, all who were connected to it.
func (w *world) vanish(n *node) {
	w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.node == n })
	w.kill(n)
}

// shows says how a member shows a client: "", "here", "stale".
func (n *node) shows(w *world, scope string) string {
	for _, s := range n.scan(w) {
		for _, e := range s.Endpoints {
			if e.Publisher.Key.Scope != scope {
				continue
			}
			if e.Publisher.Stale {
				return "stale"
			}
			return "here"
		}
	}
	return ""
}

// until lets time pass until a member shows a client so, and returns when that was.
func (w *world) until(n *node, scope, want string, limit time.Duration) time.Time {
	w.t.Helper()
	for end := time.Now().Add(limit); n.shows(w, scope) != want; w.run(step, nil) {
		if !time.Now().Before(end) {
			w.t.Fatalf("member %d shows %s as %q for %v, want %q", n.id, scope, n.shows(w, scope), limit, want)
		}
	}
	return time.Now()
}

// wantBetween wants a moment within bounds after another.
func (w *world) wantBetween(what string, at, since time.Time, least, most time.Duration) {
	w.t.Helper()
	if d := at.Sub(since); d < least || d > most {
		w.t.Errorf("%s after %v, want %v to %v", what, d, least, most)
	}
}

const slack = 4 * step // rounds of the world, and the tick

// ARC-A07, to the second: what a member had is served when it is gone, marked after
// five seconds without contact; ended after 30 seconds, in slices over ten, where
// its service has others, and after three minutes where it has none. The two that
// are left agree on each of these moments.
func TestOwnerGone(t *testing.T) {
	for name, keep := range map[string]time.Duration{"as it comes": 0, "set": 60 * time.Second, "set to the most": 180 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, 3)
				defer w.close()
				gone, left := w.nodes[0], w.nodes[1:]
				w.run(time.Second, nil)
				for i := range 20 {
					w.place(fmt.Sprint("shared-", i), gone, "shared")
				}
				w.place("only", gone, "alone")
				w.place("other", left[0], "shared")
				w.run(10*time.Second, nil)
				keepFor := 30 * time.Second
				if keep != 0 {
					keepFor = keep
					for _, n := range left {
						n.state.settings.KeepFor = keep
					}
				}
				heard := map[*node]time.Time{}
				for _, n := range left {
					heard[n] = n.state.peers[gone.id].heard
				}
				died := time.Now()
				w.vanish(gone)
				marked := map[*node]time.Time{}
				for ; len(marked) < 2; w.run(step, nil) {
					for _, n := range left {
						switch got := n.shows(w, "only"); {
						case got == "":
							t.Fatalf("member %d has dropped what was left", n.id)
						case got == "stale" && marked[n].IsZero():
							marked[n] = time.Now()
							w.wantBetween("marked", marked[n], heard[n], 5*time.Second, 6*time.Second+slack)
						}
					}
				}
				stale := marked[left[0]]
				w.wantEnds(left, stale, keepFor)
				for _, n := range left {
					if got := n.shows(w, "other"); got != "here" {
						t.Errorf("member %d shows the one that is left as %q", n.id, got)
					}
				}
				w.wantBetween("the last one ended", w.until(left[0], "only", "", 4*time.Minute), died,
					max(170*time.Second, keepFor), max(180*time.Second, keepFor+10*time.Second)+6*time.Second+slack)
				w.equal(time.Second, "")
			})
		})
	}
}

// wantEnds wants the twenty that share a service to end one by one over ten
// seconds, on both members.
func (w *world) wantEnds(left []*node, stale time.Time, keepFor time.Duration) {
	w.t.Helper()
	var first, last time.Time
	moments := map[time.Time]bool{}
	for i := range 20 {
		scope := fmt.Sprint("shared-", i)
		if left[0].shows(w, scope) == "" {
			w.t.Fatalf("%s is gone at once", scope)
		}
	}
	remaining := 20
	for remaining > 0 && time.Since(stale) < keepFor+time.Minute {
		now := 0
		for i := range 20 {
			if left[0].shows(w, fmt.Sprint("shared-", i)) != "" {
				now++
			}
		}
		if now < remaining {
			if first.IsZero() {
				first = time.Now()
			}
			last, remaining = time.Now(), now
			moments[last.Truncate(time.Second)] = true
		}
		w.run(step, nil)
	}
	if remaining > 0 {
		w.t.Fatalf("%d of 20 are left", remaining)
	}
	w.wantBetween("the first of those that share a service ended", first, stale, keepFor-slack-time.Second, keepFor+5*time.Second)
	w.wantBetween("the last of them ended", last, stale, keepFor, keepFor+10*time.Second+slack)
	if len(moments) < 4 {
		w.t.Errorf("twenty sets ended in %d different seconds, want them spread", len(moments))
	}
	for i := range 20 {
		w.until(left[1], fmt.Sprint("shared-", i), "", 2*time.Second)
	}
}

// ARC-A07: who registers elsewhere takes the place of what was left, at once and
// without a moment in which neither is there; and the old member, back with what it
// knew, yields (REL-21).
func TestRegisteredElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 3)
		defer w.close()
		gone, left := w.nodes[0], w.nodes[1:]
		w.run(time.Second, nil)
		old := w.place("old", gone, "shop")
		w.run(time.Second, nil)
		w.clients = nil
		w.kill(gone)
		w.until(left[0], "old", "stale", 10*time.Second)
		again := w.place("new", left[1], "shop")
		again.host = old.host // its address is its own, its connection is another
		w.clients = nil
		if err := left[1].local.Withdraw(w.ctx, registry.PublisherKey{Scope: "new"}, []registry.InstanceKey{{Service: service("shop")}}); err != nil {
			t.Fatal(err)
		}
		w.register(again)
		for _, n := range left {
			ended := w.until(n, "old", "", 2*time.Second)
			if got := n.shows(w, "new"); got != "here" {
				t.Errorf("member %d shows the new one as %q at %v", n.id, got, ended)
			}
		}
		w.start(gone)
		w.run(15*time.Second, func() {
			if got := gone.shows(w, "old"); got != "" {
				t.Fatalf("the old one is back as %q", got)
			}
		})
		w.equal(step, "")
		if got := gone.shows(w, "new"); got != "here" {
			t.Errorf("the member that is back shows the new one as %q", got)
		}
	})
}

// ARC-A07: what lives by beats moves to another member when its own is gone, and
// its clocks begin anew there: nobody is unhealthy because its beats went nowhere;
// who has really fallen silent is found out after its own time.
func TestBeatsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 3)
		defer w.close()
		w.run(time.Second, nil)
		gone := w.nodes[0]
		var moving []*client
		for i := 0; len(moving) < 2; i++ {
			c := &client{scope: fmt.Sprint("free-", i), host: fmt.Sprint("host-", i), port: 80, services: []string{"beats"}, free: true}
			if choose(hashKey(&registry.PublisherKey{Owner: "test", Scope: c.scope}), w.nodes[1].state.ring) != gone.id {
				continue
			}
			moving = append(moving, c)
			w.registerAt(c, w.nodes[1], 0) // any member takes it
		}
		beating, silent := moving[0], moving[1]
		w.clients = []*client{beating}
		w.run(8*time.Second, nil)
		heard := time.Now()
		w.vanish(gone)
		var taken time.Time
		for k := (registry.PublisherKey{Owner: "test", Scope: silent.scope}); ; w.run(step, nil) {
			if h, ok := w.nodes[1].engine.Home(k); ok && h.Member != gone.id && !h.Stale {
				taken = time.Now()
				break
			}
			if time.Since(heard) > time.Minute {
				t.Fatal("nobody takes over")
			}
		}
		w.wantBetween("taken over", taken, heard, 0, 5*time.Second)
		health := func(c *client) registry.Status {
			for _, s := range w.nodes[1].scan(w) {
				for _, e := range s.Endpoints {
					if e.Publisher.Key.Scope == c.scope {
						return e.Health
					}
				}
			}
			return 0
		}
		var unhealthy, removed time.Time
		for removed.IsZero() && time.Since(taken) < time.Minute {
			w.run(step, nil)
			if got := health(beating); got != registry.Passing {
				t.Fatalf("the one that beats is %d, %v after the takeover", got, time.Since(taken))
			}
			switch got := health(silent); {
			case got == registry.Critical && unhealthy.IsZero():
				unhealthy = time.Now()
			case got == 0:
				removed = time.Now()
			}
		}
		w.wantBetween("unhealthy", unhealthy, taken, 14*time.Second, 17*time.Second) // 15, of the wheel's ticks
		w.wantBetween("removed", removed, taken, 29*time.Second, 33*time.Second)
		w.equal(10*time.Second, "")
	})
}

// ARC-A02: whatever a member has wrong, the next sum finds it: what it lacks, what
// it has of an earlier state, and what nobody answers for.
func TestCorruptionHeals(t *testing.T) {
	for name, corrupt := range map[string]func(w *world, n *node){
		"a set is missing": func(_ *world, n *node) {
			r := n.state.records.byKey[registry.PublisherKey{Owner: "test", Scope: "client-3"}]
			n.engine.Drop(r.key)
			n.state.records.forget(r)
		},
		"a set is an earlier one": func(w *world, n *node) {
			r := n.state.records.byKey[registry.PublisherKey{Owner: "test", Scope: "client-3"}]
			h, _ := n.engine.Held(r.key)
			h.Instances[0].Weight = 77
			if err := n.engine.Place(h); err != nil {
				w.t.Fatal(err)
			}
			r.stamp.Sequence--
		},
		"a set nobody has": func(w *world, n *node) {
			key := registry.PublisherKey{Owner: "test", Scope: "ghost"}
			h, _ := n.engine.Held(registry.PublisherKey{Owner: "test", Scope: "client-3"})
			h.Publisher.Key = key
			if err := n.engine.Place(h); err != nil {
				w.t.Fatal(err)
			}
			r := n.state.records.add(key)
			n.state.records.revive(r)
			r.stamp = n.state.records.byKey[registry.PublisherKey{Owner: "test", Scope: "client-3"}].stamp
			r.answer, r.home, r.seen = h.Publisher.Member, h.Publisher.Member, n.state.seen
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4, 3)
				defer w.close()
				w.run(time.Second, nil)
				for i := range 6 {
					w.place(fmt.Sprint("client-", i), w.nodes[i%2], "s")
				}
				w.run(10*time.Second, nil)
				w.equal(step, "")
				want := w.nodes[0].weights(w)
				bad := w.nodes[2] // it has nobody of its own
				corrupt(w, bad)
				if got := bad.weights(w); got == want {
					t.Fatal("nothing is corrupt")
				}
				w.run(6*time.Second, nil)
				for _, n := range w.nodes {
					if got := n.weights(w); got != want {
						t.Errorf("member %d shows after a sum\n%swant\n%s", n.id, got, want)
					}
				}
			})
		})
	}
}

// weights is a picture with what is in it.
func (n *node) weights(w *world) string {
	var b strings.Builder
	for _, s := range n.scan(w) {
		for _, e := range s.Endpoints {
			fmt.Fprintf(&b, "%s %s %s %v\n", s.Key.Name, e.Publisher.Key.Scope, e.Host, e.Weight)
		}
	}
	return b.String()
}

// CTR-R09, FLT-04: a member that joins, or is back, is not ready before it has read
// what the others have, all of it; one that nobody answers waits for ten seconds.
func TestFullReadAtJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5, 3)
		defer w.close()
		late := w.nodes[2]
		w.kill(late)
		w.run(12*time.Second, nil)
		const many = 400
		for i := range many {
			w.place(fmt.Sprint("client-", i), w.nodes[i%2], "s")
		}
		w.run(5*time.Second, nil)
		w.slow = time.Second // of each message
		w.start(late)
		for !late.dist.Synced() {
			w.run(step, nil)
			if !late.dist.Synced() && time.Since(late.state.began) > 10*time.Second+step {
				t.Fatal("it never is ready")
			}
		}
		if n := len(late.scopes(w)); n != many {
			t.Errorf("it is ready with %d of %d clients", n, many)
		}
		w.slow = 0
		w.kill(late)
		w.run(10*time.Second, nil)
		w.mute = true
		w.start(late)
		for began := time.Now(); !late.dist.Synced(); w.run(step, nil) {
			if time.Since(began) > 10*time.Second+slack {
				t.Fatal("it waits for more than ten seconds")
			}
		}
		if d := time.Since(late.state.began); d < 9*time.Second {
			t.Errorf("it is ready after %v without having heard anybody", d)
		}
	})
}
