package catalog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// bubble runs a test on an engine whose keeper works, in a bubble of time.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		keeper := Keeper{Engine: r.Engine, Leads: func() bool { return false }}
		go func() { keeper.Run(ctx); close(done) }()
		test(r)
		stop()
		<-done
	})
}

func beating(name, host string, unhealthy, remove time.Duration) registry.Registration {
	x := at(name, host, 1)
	x.Expiry = registry.Expiry{Unhealthy: unhealthy, Remove: remove}
	return x
}

func beatOf(scopeName, name, host string) registry.Beat {
	return registry.Beat{Instance: registry.InstanceKey{Publisher: scope(scopeName), Service: svc(name), ID: host + ":1"}}
}

func (r *rig) beats(bs ...registry.Beat) []int {
	r.t.Helper()
	unknown, err := r.Beat(r.t.Context(), bs)
	if err != nil {
		r.t.Fatalf("Beat() = %v", err)
	}
	return unknown
}

// state is the health of a service's only instance, 0 for none.
func (r *rig) state(name string) registry.Status {
	r.t.Helper()
	if s := r.snapshot(name); s != nil {
		return s.Endpoints[0].Health
	}
	return 0
}

// CTR-R07: critical after one silence, gone after another, back by the next beat.
func TestBeats(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		r.open("c")
		r.publish("c", registry.Merge, beating("a", "h", 15*time.Second, 30*time.Second))
		check := func(step string, want registry.Status) {
			t.Helper()
			synctest.Wait()
			if got := r.state("a"); got != want {
				t.Errorf("%s: health = %d, want %d", step, got, want)
			}
		}
		for range 10 {
			elapse(14 * time.Second)
			check("beating", registry.Passing)
			r.beats(beatOf("c", "a", "h"))
		}
		before := r.snapshot("a")
		elapse(15 * time.Second)
		check("silent for 15 s", registry.Passing) // never earlier
		elapse(200 * time.Millisecond)
		check("silent for more", registry.Critical)
		if after := r.snapshot("a"); after.Version <= before.Version || after.Endpoints[0].Status != registry.Critical {
			t.Errorf("snapshot = %+v, want a newer one with the status", after)
		}
		elapse(10 * time.Second)
		if got := r.beats(beatOf("c", "a", "h")); got != nil {
			t.Errorf("Beat() = %v unknown", got)
		}
		check("heard again", registry.Passing)
		elapse(15*time.Second + 200*time.Millisecond)
		check("silent again", registry.Critical)
		r.publish("c", registry.Merge, beating("a", "h", 15*time.Second, 30*time.Second))
		check("registered again", registry.Passing)
		elapse(30 * time.Second)
		check("silent for 30 s", registry.Critical)
		elapse(200 * time.Millisecond)
		check("silent for more", 0)
		if got := r.beats(beatOf("c", "a", "h")); len(got) != 1 {
			t.Errorf("Beat() of what was removed = %v, want it unknown", got)
		}
		if err := r.Publish(t.Context(), scope("c"), registry.Merge, nil); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Publish() to a publisher that lived by beats = %v, want %v", err, kv.ErrNotFound)
		}
	})
}

// Times are each instance's own, may change, and may end by removal only or by
// status only; an instance without them lives on.
func TestBeatTimes(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		elapse(time.Minute) // warm
		r.open("c", "d")
		r.publish("c", registry.Merge,
			beating("removed", "h", 0, 5*time.Second), beating("sick", "h", 3*time.Second, 0), beating("long", "h", 10*time.Minute, 30*time.Minute),
			beating("shorter", "h", 10*time.Hour, 0), beating("calm", "h", 2*time.Second, 0), at("plain", "h", 1))
		r.publish("c", registry.Merge, beating("shorter", "h", time.Second, 0), beating("calm", "h", 0, 0))
		check := func(want string) {
			t.Helper()
			synctest.Wait()
			got := ""
			for _, s := range []string{"removed", "sick", "long", "shorter", "calm", "plain"} {
				got += fmt.Sprint(r.state(s))
			}
			if got != want {
				t.Errorf("after %v health = %s, want %s", time.Since(epochOfBubble), got, want)
			}
		}
		check("111111")
		elapse(1200 * time.Millisecond)
		check("111311")
		elapse(2 * time.Second)
		check("131311")
		elapse(2 * time.Second)
		check("031311")
		elapse(29 * time.Minute)
		check("033311")
		elapse(2 * time.Minute)
		check("030311")
		elapse(time.Hour)
		check("030311")
		if n := r.wheel.n; n != 0 {
			t.Errorf("the wheel holds %d publishers, want none: nothing can happen to them by itself", n)
		}
		r.beats(beatOf("c", "sick", "h"))
		check("010311")
		elapse(3200 * time.Millisecond)
		check("030311")
		// Status by beat.
		b := beatOf("c", "plain", "h")
		b.Status = registry.Warning
		r.beats(b)
		check("030312")
		b.Status = registry.Maintenance
		if _, err := r.Beat(t.Context(), []registry.Beat{b}); err == nil {
			t.Error("Beat(Maintenance) = nil error")
		}
	})
}

var epochOfBubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// What goes by other ways takes its beat along.
func TestBeatsGoAlong(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		r.open("c", "d")
		x := func(name, host string) registry.Registration { return beating(name, host, time.Second, 0) }
		r.publish("c", registry.Merge, x("a", "h1"), x("a", "h2"), x("b", "h1"), at("b", "h2", 1))
		r.publish("d", registry.Merge, x("a", "h1"))
		want := func(n int) {
			t.Helper()
			if r.wheel.n != n {
				t.Errorf("the wheel holds %d publishers, want %d", r.wheel.n, n)
			}
		}
		want(2)
		r.publish("c", registry.ReplaceService, x("a", "h1"))
		if got := r.beats(beatOf("c", "a", "h2"), beatOf("c", "a", "h1"), beatOf("x", "a", "h1"), beatOf("c", "x", "h1")); len(got) != 3 || got[0] != 0 {
			t.Errorf("Beat() = %v unknown, want 0, 2, 3", got)
		}
		if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("b")}}); err != nil {
			t.Fatal(err)
		}
		want(2)
		if err := r.Open(t.Context(), registry.Publisher{Key: scope("c"), Status: registry.Warning}); err != nil {
			t.Fatal(err)
		}
		r.publish("c", registry.Merge, at("a", "h1", 1)) // lives without beats from now on
		elapse(10 * time.Second)
		synctest.Wait()
		want(0) // nothing can happen by itself any more
		r.beats(beatOf("d", "a", "h1"))
		want(1)
		if err := r.Close(t.Context(), []registry.PublisherKey{scope("c"), scope("d")}); err != nil {
			t.Fatal(err)
		}
		want(0)
	})
}

// FLT-04: until the catalog is synced, and for a beat period after, nothing ends.
func TestWarmup(t *testing.T) {
	bubble(t, func(r *rig) {
		r.open("c")
		r.publish("c", registry.Merge, beating("a", "h", time.Second, 2*time.Second))
		elapse(time.Minute)
		if got := r.state("a"); got != registry.Passing {
			t.Errorf("not synced: health = %d, want Passing", got)
		}
		r.Sync()
		elapse(5*time.Second - tick)
		if got := r.state("a"); got != registry.Passing {
			t.Errorf("synced, warming up: health = %d, want Passing", got)
		}
		elapse(time.Second)
		if got := r.state("a"); got != 0 {
			t.Errorf("warm: health = %d, want it removed", got)
		}
	})
}

// REL-09: a pause of the process, however long, ends nobody.
func TestPause(t *testing.T) {
	r := newRig(t)
	r.Sync()
	r.warm = time.Time{}
	r.open("c")
	r.publish("c", registry.Merge, beating("a", "h", 15*time.Second, 30*time.Second))
	pass := func(d time.Duration) {
		for ; d > 0; d -= tick {
			r.pass(tick)
		}
	}
	pass(14 * time.Second)
	r.pass(time.Hour) // stopped, or the machine was
	if got := r.state("a"); got != registry.Passing {
		t.Errorf("after a pause health = %d, want Passing", got)
	}
	pass(2 * time.Second)
	if got := r.state("a"); got != registry.Critical {
		t.Errorf("16 s of silence without the pause: health = %d, want Critical", got)
	}
}

// A publisher has more than are judged in one go: they end in the same tick all the
// same, those that have been heard stay, and it goes with the last.
func TestLargeExpiry(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		elapse(time.Minute)
		r.open("c")
		const n = 3*atOnce + 5
		rs := make([]registry.Registration, n)
		for i := range rs {
			rs[i] = beating("a", fmt.Sprint("h", i), time.Second, 3*time.Second)
		}
		r.publish("c", registry.Merge, rs...)
		want := func(instances, healthy int) {
			t.Helper()
			synctest.Wait()
			if st, _ := r.Stats(t.Context()); st.Instances != instances || st.Healthy != healthy {
				t.Errorf("Stats() = %+v, want %d instances, %d of them healthy", st, instances, healthy)
			}
		}
		elapse(time.Second)
		r.beats(beatOf("c", "a", "h0"), beatOf("c", "a", "h9"))
		elapse(200 * time.Millisecond)
		want(n, 2)
		elapse(900 * time.Millisecond)
		want(n, 0)
		elapse(1100 * time.Millisecond)
		want(2, 0)
		elapse(900 * time.Millisecond)
		want(0, 0)
		if r.publishers.live != 0 || r.wheel.n != 0 {
			t.Errorf("%d publishers, %d in the wheel, want none", r.publishers.live, r.wheel.n)
		}
	})
}

// Many end at once, and the wheel is empty afterwards.
func TestMassExpiry(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		const n = 3000
		for i := range n {
			c := fmt.Sprint("c", i)
			r.open(c)
			r.publish(c, registry.Merge, beating("a", fmt.Sprint("h", i), time.Second, 20*time.Second))
		}
		elapse(19 * time.Second)
		if st, _ := r.Stats(t.Context()); st.Instances != n || st.Healthy != 0 {
			t.Errorf("Stats() = %+v, want %d instances, none of them healthy", st, n)
		}
		elapse(2 * time.Second)
		synctest.Wait()
		if st, _ := r.Stats(t.Context()); st.Instances != 0 || r.publishers.live != 0 || r.wheel.n != 0 {
			t.Errorf("Stats() = %+v, %d publishers, %d of them in the wheel, want nothing", st, r.publishers.live, r.wheel.n)
		}
	})
}
