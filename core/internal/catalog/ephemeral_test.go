package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

func TestPublish(t *testing.T) {
	r := newRig(t)
	r.want("a", "none")
	r.open("c1", "c2")
	r.publish("c1", registry.Merge, at("a", "10.0.0.2", 80), at("b", "10.0.0.2", 80))
	r.publish("c2", registry.Merge, at("a", "10.0.0.1", 80))
	r.want("a", "10.0.0.1:80 10.0.0.2:80")
	r.want("b", "10.0.0.2:80")

	// CTR-R06: the list is all that this publisher has in the services named.
	r.publish("c1", registry.ReplaceService, at("a", "10.0.0.3", 80), at("a", "10.0.0.4", 80))
	r.want("a", "10.0.0.1:80 10.0.0.3:80 10.0.0.4:80")
	r.want("b", "10.0.0.2:80")

	if err := r.Withdraw(t.Context(), scope("c1"), []registry.InstanceKey{
		{Service: svc("a"), ID: "10.0.0.3:80"}, {Service: svc("a"), ID: "10.0.0.9:80"}, {Service: svc("none")},
	}); err != nil {
		t.Fatal(err)
	}
	r.want("a", "10.0.0.1:80 10.0.0.4:80")
	if err := r.Withdraw(t.Context(), scope("c1"), []registry.InstanceKey{{Service: svc("a")}}); err != nil {
		t.Fatal(err)
	}
	r.want("a", "10.0.0.1:80")

	if err := r.Close(t.Context(), []registry.PublisherKey{scope("c1"), scope("c9")}); err != nil {
		t.Fatal(err)
	}
	r.want("a", "10.0.0.1:80")
	r.want("b", "none")
	if err := r.Publish(t.Context(), scope("c1"), registry.Merge, []registry.Registration{at("a", "h", 1)}); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Publish() after Close = %v, want %v", err, kv.ErrNotFound)
	}
	got, err := r.Stats(t.Context())
	if want := (registry.Stats{Version: got.Version, Services: 1, Instances: 1, Healthy: 1}); err != nil || got != want {
		t.Errorf("Stats() = %+v, %v, want %+v", got, err, want)
	}
}

// The same content is no change; a change of one instance keeps the others, and
// earlier snapshots keep what they showed (CTR-B02, CTR-R01).
func TestSnapshotsAreImmutable(t *testing.T) {
	r := newRig(t)
	r.open("c")
	full := at("a", "h1", 1)
	full.Meta = registry.PairsOf(map[string]string{"k": "v"})
	full.Tags, full.Ext, full.Drain = []string{"t"}, []byte("x"), true
	full.Ports = []registry.NamedPort{{Name: "p", Port: 2}}
	full.Locality = registry.Locality{Zone: "z"}
	r.publish("c", registry.Merge, full, at("a", "h2", 1), at("a", "h3", 1))
	first := r.snapshot("a")
	r.publish("c", registry.Merge, full, at("a", "h2", 1))
	r.publish("c", registry.ReplaceService, full, at("a", "h2", 1), at("a", "h3", 1))
	if again := r.snapshot("a"); again != first {
		t.Error("identical registrations made a new snapshot")
	}
	named := full
	named.ID = "h1:1" // what it is called without an id
	r.publish("c", registry.Merge, named)
	if again := r.snapshot("a"); again != first {
		t.Error("an id that says host:port made a new snapshot")
	}
	changed := at("a", "h2", 1)
	changed.Weight = 3
	r.publish("c", registry.Merge, changed)
	second := r.snapshot("a")
	if second == first || second.Version <= first.Version {
		t.Errorf("Version after a change = %d, want above %d", second.Version, first.Version)
	}
	if first.Endpoints[1].Weight != 1 || second.Endpoints[1].Weight != 3 {
		t.Errorf("weights = %v, %v, want 1 in the old snapshot and 3 in the new one", first.Endpoints[1].Weight, second.Endpoints[1].Weight)
	}
	if first.Endpoints[0].Instance != second.Endpoints[0].Instance {
		t.Error("an instance that did not change was copied")
	}
	for i, change := range []func(*registry.Registration){
		func(x *registry.Registration) { x.Meta = nil },
		func(x *registry.Registration) { x.Tags = []string{"t", "t"} },
		func(x *registry.Registration) { x.Ext = []byte("y") },
		func(x *registry.Registration) { x.Drain = false },
		func(x *registry.Registration) { x.Ports = nil },
		func(x *registry.Registration) { x.Locality = registry.Locality{} },
		func(x *registry.Registration) { x.Status = registry.Warning },
		func(x *registry.Registration) { x.Enabled = false },
		func(x *registry.Registration) { x.Warn = new(float64) },
		func(x *registry.Registration) { x.Addrs = registry.Pairs{{Key: "wan", Value: "h"}} },
		func(x *registry.Registration) { x.Expiry.Remove = time.Minute },
	} {
		before, x := r.snapshot("a"), full
		change(&x)
		r.publish("c", registry.Merge, x)
		if after := r.snapshot("a"); after == before || len(after.Endpoints) != 3 {
			t.Errorf("change %d made no new snapshot of the same size", i)
		}
		r.publish("c", registry.Merge, full)
	}
}

// CTR-M07: who writes is known from the handle, not from what is written.
func TestOwners(t *testing.T) {
	r := newRig(t)
	r.open("c")
	r.publish("c", registry.Merge, at("a", "h", 1))
	two, theirs := r.Engine.Ephemeral("two"), registry.PublisherKey{Owner: "one", Scope: "c"}
	for call, err := range map[string]error{
		"Open":     two.Open(t.Context(), registry.Publisher{Key: theirs}),
		"Publish":  two.Publish(t.Context(), theirs, registry.Merge, nil),
		"Withdraw": two.Withdraw(t.Context(), theirs, nil),
		"Close":    two.Close(t.Context(), []registry.PublisherKey{theirs}),
		"Beat": func() error {
			_, err := two.Beat(t.Context(), []registry.Beat{{Instance: registry.InstanceKey{Publisher: theirs}}})
			return err
		}(),
	} {
		if !errors.Is(err, kv.ErrForeign) {
			t.Errorf("%s of another plugin's publisher = %v, want %v", call, err, kv.ErrForeign)
		}
	}
	if err := two.Close(t.Context(), []registry.PublisherKey{scope("c")}); err != nil {
		t.Fatal(err)
	}
	r.want("a", "h:1")
	if got := r.snapshot("a").Endpoints[0].Publisher; got.Key.Owner != "one" || got.Member != 7 || !got.Ephemeral {
		t.Errorf("Publisher = %+v, want ephemeral, of one, on member 7", got)
	}
	if _, err := r.Published(t.Context(), scope("c")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Published(no owner) = %v, want %v", err, kv.ErrNotFound)
	}
	got, err := r.Published(t.Context(), theirs)
	if err != nil || len(got.Instances) != 1 || got.Instances[0].Service != svc("a") {
		t.Errorf("Published() = %+v, %v, want the instance in a", got, err)
	}
	mine, err := r.Publishers(t.Context(), "", 0)
	theirList, err2 := two.Publishers(t.Context(), "", 0)
	if err != nil || err2 != nil || len(mine) != 1 || len(theirList) != 0 {
		t.Errorf("Publishers() = %v, %v, want one, none", mine, theirList)
	}
}

// CTR-M04: health is the worst of both, rotation hides it.
func TestPublisherStatus(t *testing.T) {
	r := newRig(t)
	r.open("c")
	warn := at("a", "h2", 1)
	warn.Status = registry.Warning
	off := at("b", "h3", 1)
	off.Enabled = false
	r.publish("c", registry.Merge, at("a", "h1", 1), warn, off)
	check := func(step string, healthy int, want ...registry.Status) {
		t.Helper()
		var got []registry.Status
		for _, s := range []string{"a", "b"} {
			for _, e := range r.snapshot(s).Endpoints {
				got = append(got, e.Health)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: health = %v, want %v", step, got, want)
		}
		if st, _ := r.Stats(t.Context()); st.Healthy != healthy {
			t.Errorf("%s: Stats().Healthy = %d, want %d", step, st.Healthy, healthy)
		}
	}
	reopen := func(p registry.Publisher) {
		t.Helper()
		p.Key = scope("c")
		if err := r.Open(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	check("fresh", 2, registry.Passing, registry.Warning, registry.Maintenance)
	before := r.snapshot("a")
	reopen(registry.Publisher{})
	if r.snapshot("a") != before {
		t.Error("opening a publisher as it is made a new snapshot")
	}
	reopen(registry.Publisher{Status: registry.Critical})
	check("critical publisher", 0, registry.Critical, registry.Critical, registry.Maintenance)
	reopen(registry.Publisher{Info: &registry.PublisherInfo{Out: true}})
	check("out", 0, registry.Maintenance, registry.Maintenance, registry.Maintenance)
	reopen(registry.Publisher{})
	check("back", 2, registry.Passing, registry.Warning, registry.Maintenance)
}

func TestLimits(t *testing.T) {
	r := newRig(t)
	r.open("c")
	long, many := strings.Repeat("x", registry.MaxName+1), make(registry.Pairs, registry.MaxPairs+1)
	for name, change := range map[string]func(*registry.Registration){
		"name":   func(x *registry.Registration) { x.Service.Name = long },
		"group":  func(x *registry.Registration) { x.Service.Group = long },
		"space":  func(x *registry.Registration) { x.Service.Namespace = long },
		"subset": func(x *registry.Registration) { x.Subset = long },
		"host":   func(x *registry.Registration) { x.Host = long },
		"id":     func(x *registry.Registration) { x.ID = long },
		"zone":   func(x *registry.Registration) { x.Locality.Zone = long },
		"pairs":  func(x *registry.Registration) { x.Meta = many },
		"addrs":  func(x *registry.Registration) { x.Addrs = many },
		"metadata": func(x *registry.Registration) {
			x.Meta = registry.Pairs{{Value: strings.Repeat("x", registry.MaxMeta+1)}}
		},
		"tags":  func(x *registry.Registration) { x.Tags = make([]string, registry.MaxPairs+1) },
		"tag":   func(x *registry.Registration) { x.Tags = []string{strings.Repeat("x", registry.MaxMeta+1)} },
		"ports": func(x *registry.Registration) { x.Ports = make([]registry.NamedPort, registry.MaxPairs+1) },
		"ext":   func(x *registry.Registration) { x.Ext = make([]byte, registry.MaxExt+1) },
	} {
		x := at("a", "h", 1)
		change(&x)
		err := r.Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{at("b", "h", 1), x})
		if !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("Publish(%s) = %v, want %v", name, err, kv.ErrTooLarge)
		}
	}
	for name, change := range map[string]func(*registry.Registration){
		"no name":     func(x *registry.Registration) { x.Service.Name = "" },
		"no host":     func(x *registry.Registration) { x.Host = "" },
		"maintenance": func(x *registry.Registration) { x.Status = registry.Maintenance },
		"status":      func(x *registry.Registration) { x.Status = 9 },
		"same key":    func(x *registry.Registration) { x.Meta = registry.Pairs{{Key: "k"}, {Key: "k"}} },
	} {
		x := at("a", "h", 1)
		change(&x)
		if err := r.Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{x}); err == nil {
			t.Errorf("Publish(%s) = nil, want an error", name)
		}
	}
	for call, err := range map[string]error{
		"Publish":  r.Publish(t.Context(), scope("c"), registry.Merge, make([]registry.Registration, registry.MaxPublish+1)),
		"Withdraw": r.Withdraw(t.Context(), scope("c"), make([]registry.InstanceKey, registry.MaxPublish+1)),
		"Close":    r.Close(t.Context(), make([]registry.PublisherKey, registry.MaxClose+1)),
		"Open":     r.Open(t.Context(), registry.Publisher{Key: scope(long)}),
	} {
		if !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s(too many) = %v, want %v", call, err, kv.ErrTooLarge)
		}
	}
	r.want("a", "none")
	r.want("b", "none") // nothing of a refused call is stored
}

func TestManyOfOnePublisher(t *testing.T) {
	r := newRig(t)
	r.open("c")
	all := make([]registry.Registration, registry.MaxPublish)
	for i := range all {
		all[i] = at(fmt.Sprint("s", i%10), fmt.Sprint("h", i), 1)
	}
	r.publish("c", registry.Merge, all[5000:]...)
	r.publish("c", registry.Merge, all[:5000]...)
	r.publish("c", registry.Merge, all...)
	for _, x := range []registry.Registration{at("s0", "more", 1), at("new", "more", 1)} {
		if err := r.Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{x}); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("Publish(one more) = %v, want %v", err, kv.ErrTooLarge)
		}
	}
	r.publish("c", registry.ReplaceService, at("s0", "more", 1))
	r.want("s0", "more:1")
	if got := len(r.snapshot("s1").Endpoints); got != 1000 {
		t.Errorf("Service(s1) has %d endpoints, want 1,000", got)
	}
}

// A member that is full takes back what it has, and nothing else.
func TestFull(t *testing.T) {
	r := newRig(t)
	r.most = 3
	r.open("c", "d")
	full := []registry.Registration{at("a", "h1", 1), at("a", "h2", 1), at("b", "h1", 1)}
	r.publish("c", registry.Merge, full...)
	r.publish("c", registry.Merge, full...)
	r.publish("c", registry.ReplaceService, full...)
	r.publish("c", registry.ReplaceService, at("a", "h3", 1), at("a", "h4", 1))
	for _, s := range []string{"c", "d"} {
		if err := r.Publish(t.Context(), scope(s), registry.Merge, []registry.Registration{at("a", "h9", 1)}); !errors.Is(err, kv.ErrOverloaded) {
			t.Errorf("Publish(%s, one more) = %v, want %v", s, err, kv.ErrOverloaded)
		}
	}
	r.publish("c", registry.ReplaceService, at("a", "h3", 1))
	r.publish("d", registry.Merge, at("a", "h9", 1))
	r.want("a", "h3:1 h9:1")
}
