package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Next returns everything there is, so an answered stream has nothing more.
func (r *rig) next(st registry.Stream) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	cs, err := st.Next(ctx)
	if err != nil {
		r.t.Fatalf("Next() = %v", err)
	}
	var out []string
	for _, c := range cs {
		s := c.Snapshot.Key.Name
		if c.Appeared {
			s = "+" + s
		}
		if c.Snapshot.Gone {
			s = "-" + s
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// CTR-R03: each changed service once, in its newest state, the oldest change
// first.
func TestWatch(t *testing.T) {
	r := newRig(t)
	r.open("c")
	r.publish("c", registry.Merge, at("b", "h", 1), at("a", "h", 1))
	st, err := r.Watch(t.Context(), registry.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		if got := r.next(st); got != want {
			t.Errorf("Next() = %q, want %q", got, want)
		}
	}
	check("+b +a")
	r.publish("c", registry.Merge, at("b", "h2", 1))
	r.publish("c", registry.Merge, at("c", "h2", 1))
	r.publish("c", registry.Merge, at("b", "h3", 1), at("b", "h4", 1))
	check("+c b")
	if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("a")}, {Service: svc("c")}}); err != nil {
		t.Fatal(err)
	}
	r.publish("c", registry.Merge, at("c", "h", 1)) // back before anybody heard
	check("-a c")
	r.publish("c", registry.Merge, at("a", "h", 1))
	r.publish("c", registry.Merge, at("d", "h", 1))
	if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("d")}}); err != nil {
		t.Fatal(err)
	}
	check("+a") // d came and went
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Next(t.Context()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() after Close = %v, want %v", err, kv.ErrClosed)
	}
	if err := st.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
}

// A cancelled Next loses nothing; Close wakes one that waits (CTR-B05).
func TestWatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.open("c")
		st, err := r.Watch(t.Context(), registry.Query{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := st.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next() without changes = %v, want %v", err, context.DeadlineExceeded)
		}
		got := make(chan string)
		go func() { got <- r.next(st) }()
		synctest.Wait()
		r.publish("c", registry.Merge, at("a", "h", 1))
		if s := <-got; s != "+a" {
			t.Errorf("Next() = %q, want +a", s)
		}
		closed := make(chan error)
		go func() { _, err := st.Next(context.WithoutCancel(t.Context())); closed <- err }()
		synctest.Wait()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; !errors.Is(err, kv.ErrClosed) {
			t.Errorf("Next() while closed = %v, want %v", err, kv.ErrClosed)
		}
	})
}

// From a page on, nothing is missing and what was listed is not new.
func TestWatchAfterScan(t *testing.T) {
	r := newRig(t)
	r.open("c")
	r.publish("c", registry.Merge, at("a", "h", 1), at("b", "h", 1), at("gone", "h", 1))
	page, err := r.Scan(t.Context(), registry.Query{})
	if err != nil || len(page.Snapshots) != 3 || page.Next != nil {
		t.Fatalf("Scan() = %d services, next %v, %v, want three", len(page.Snapshots), page.Next, err)
	}
	if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("gone")}}); err != nil {
		t.Fatal(err)
	}
	st, err := r.Watch(t.Context(), registry.Query{}, page.Version)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.next(st); got != "-gone" {
		t.Errorf("Next() after Page.Version = %q, want the service that went", got)
	}
	r.publish("c", registry.Merge, at("b", "h2", 1))
	if got := r.next(st); got != "b" {
		t.Errorf("Next() = %q, want b, which is not new", got)
	}
	future, err := r.Watch(t.Context(), registry.Query{}, page.Version+1e6)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.next(future); got != "+a +b" {
		t.Errorf("Next() after a version of another life = %q, want everything", got)
	}
}

// A service that stops matching is delivered once more.
func TestWatchOwner(t *testing.T) {
	r := newRig(t)
	two := r.Engine.Ephemeral("two")
	r.open("c")
	if err := two.Open(t.Context(), registry.Publisher{Key: scope("c")}); err != nil {
		t.Fatal(err)
	}
	st, err := r.Watch(t.Context(), registry.Query{Owner: "two", Name: "a*"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.publish("c", registry.Merge, at("a", "h", 1), at("a1", "h", 1))
	if err := two.Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{at("a", "x", 1), at("b", "x", 1)}); err != nil {
		t.Fatal(err)
	}
	if got := r.next(st); got != "+a" {
		t.Errorf("Next() = %q, want +a", got)
	}
	if got, err := r.Names(t.Context(), registry.Query{Owner: "two"}); err != nil || len(got) != 2 {
		t.Errorf("Names(two) = %v, %v, want a and b", got, err)
	}
	if err := two.Close(t.Context(), []registry.PublisherKey{scope("c")}); err != nil {
		t.Fatal(err)
	}
	r.publish("c", registry.Merge, at("a1", "h2", 1))
	if got := r.next(st); got != "a" {
		t.Errorf("Next() = %q, want a once more", got)
	}
}

func TestNames(t *testing.T) {
	r := newRig(t)
	r.open("c")
	var rs []registry.Registration
	for _, k := range []registry.ServiceKey{
		{Namespace: "n1", Group: "g1", Name: "apple"},
		{Namespace: "n1", Group: "g1", Name: "banana"},
		{Namespace: "n1", Group: "g2", Name: "apple"},
		{Namespace: "n2", Group: "g1", Name: "apple"},
		{Namespace: "", Group: "g1", Name: "apricot"},
	} {
		rs = append(rs, registry.Registration{Service: k, Host: "h"})
	}
	r.publish("c", registry.Merge, rs...)
	for _, tt := range []struct {
		q    registry.Query
		want string
	}{
		{registry.Query{}, "/g1/apricot n1/g1/apple n1/g1/banana n1/g2/apple n2/g1/apple"},
		{registry.Query{Namespace: "n1"}, "n1/g1/apple n1/g1/banana n1/g2/apple"},
		{registry.Query{Namespace: "n1", Group: "g1", Name: "b*"}, "n1/g1/banana"},
		{registry.Query{Namespace: "n1", Group: "g1", Name: "apple"}, "n1/g1/apple"},
		{registry.Query{Namespace: "n1", Name: "*an*a"}, "n1/g1/banana"},
		{registry.Query{Group: "*2"}, "n1/g2/apple"},
		{registry.Query{Namespace: "n1", Group: "g*", Name: "*e"}, "n1/g1/apple n1/g2/apple"},
		{registry.Query{Limit: 2}, "/g1/apricot n1/g1/apple"},
		{registry.Query{From: registry.ServiceKey{Namespace: "n1", Group: "g2"}}, "n1/g2/apple n2/g1/apple"},
		{registry.Query{Namespace: "n1", From: registry.ServiceKey{Namespace: "n1", Group: "g1", Name: "b"}}, "n1/g1/banana n1/g2/apple"},
		{registry.Query{Namespace: "n3"}, ""},
	} {
		ks, err := r.Names(t.Context(), tt.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range ks {
			got = append(got, k.Namespace+"/"+k.Group+"/"+k.Name)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("Names(%+v) = %q, want %q", tt.q, s, tt.want)
		}
	}
	page, err := r.Scan(t.Context(), registry.Query{Namespace: "n1", Limit: 2})
	if err != nil || len(page.Snapshots) != 2 || page.Next == nil || page.Next.Group != "g2" {
		t.Errorf("Scan() = %d services, next %v, %v, want two and g2", len(page.Snapshots), page.Next, err)
	}
}

// CTR-M01: a service that is gone is remembered for a minute, and until every
// stream has heard of it.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.open("c")
		r.publish("c", registry.Merge, at("a", "h", 1), at("b", "h", 1))
		slow, err := r.Watch(t.Context(), registry.Query{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.next(slow); got != "+a +b" {
			t.Fatalf("Next() = %q", got)
		}
		before := r.snapshot("a").Version
		drop := func(name string) {
			if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc(name)}}); err != nil {
				t.Fatal(err)
			}
		}
		ticks := uint16(0)
		known := func(name string) bool {
			ticks++
			r.publish("c", registry.Merge, at("tick", "h", ticks))
			k := svc(name)
			return r.find(&k) != nil
		}
		drop("a")
		r.want("a", "none")
		elapse(keepGone - time.Second)
		if !known("a") {
			t.Error("a service that went was forgotten within a minute")
		}
		r.publish("c", registry.Merge, at("a", "h", 1))
		if got := r.snapshot("a"); got.Version <= before || !got.Mixed {
			t.Errorf("a service that came back = %+v, want a version above %d, mixed", got, before)
		}
		drop("a")
		elapse(2 * keepGone)
		if !known("a") {
			t.Error("a service was forgotten before a stream heard of its end")
		}
		if got := r.next(slow); got != "-a +tick" {
			t.Errorf("Next() = %q, want -a +tick", got)
		}
		elapse(2 * keepGone)
		if known("a") {
			t.Error("a service that went, and of which every stream has heard, is remembered")
		}
		if _, err := r.Watch(t.Context(), registry.Query{}, before); !errors.Is(err, kv.ErrCompacted) {
			t.Errorf("Watch() from before a forgotten end = %v, want %v", err, kv.ErrCompacted)
		}
		r.want("b", "h:1")
	})
}

// STY-52: what waits for a stuck reader is bounded.
func TestOvertaken(t *testing.T) {
	r := newRig(t)
	r.mostGone = 1000
	r.open("c")
	r.publish("c", registry.Merge, at("a", "h", 1))
	stuck, err := r.Watch(t.Context(), registry.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.next(stuck); got != "+a" {
		t.Fatalf("Next() = %q", got)
	}
	fresh, err := r.Watch(t.Context(), registry.Query{}, 0) // has not been given a
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Withdraw(t.Context(), scope("c"), []registry.InstanceKey{{Service: svc("a")}}); err != nil {
		t.Fatal(err)
	}
	gone := []registry.InstanceKey{{}}
	for i := range r.mostGone + 1 {
		name := fmt.Sprint("s", i)
		r.publish("c", registry.Merge, at(name, "h", 1))
		gone[0].Service = svc(name)
		if err := r.Withdraw(t.Context(), scope("c"), gone); err != nil {
			t.Fatal(err)
		}
	}
	r.publish("c", registry.Merge, at("end", "h", 1))
	if n := len(r.gone); n > r.mostGone {
		t.Errorf("%d services that went are remembered, want at most %d", n, r.mostGone)
	}
	if _, err := stuck.Next(t.Context()); !errors.Is(err, kv.ErrCompacted) {
		t.Errorf("Next() of a stuck stream = %v, want %v", err, kv.ErrCompacted)
	}
	if got := r.next(fresh); got != "+end" {
		t.Errorf("Next() of a stream that knows nothing of it = %q, want +end", got)
	}
}
