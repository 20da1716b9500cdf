package catalog

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

const elsewhere = 9 // a member; the rig is 7

// told notes what a replica hears.
type told struct {
	mu   sync.Mutex // guards list
	list []Changed
}

func (r *told) Changed(c Changed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, c)
}

func (r *told) take() []Changed {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// place puts what one rig has into another, as of a member.
func place(t *testing.T, to, from *rig, s string, member uint64) {
	t.Helper()
	h, ok := from.Held(registry.PublisherKey{Owner: "one", Scope: s})
	if !ok {
		t.Fatalf("Held(%s): none", s)
	}
	h.Publisher.Member = member
	if err := to.Place(h); err != nil {
		t.Fatalf("Place(%s) = %v", s, err)
	}
}

// CTR-M06, ARC-A02: a publisher on another member is the same in every field.
func TestPlacedIsWhatWasHeld(t *testing.T) {
	r, other := newRig(t), newRig(t)
	warn := 0.5
	full := registry.Registration{
		Service: svc("s"), ID: "id", Subset: "c", Host: "h", Port: 5, Weight: 2.5, Warn: &warn, Status: registry.Warning,
		Enabled: true, Drain: true, Locality: registry.Locality{Region: "r", Zone: "z", Subzone: "sub"}, Tags: []string{"b", "a"},
		Meta: registry.Pairs{{Key: "k", Value: "v"}}, Ports: []registry.NamedPort{{Name: "http", Port: 80}},
		Addrs: registry.Pairs{{Key: "lan", Value: "x"}}, Ext: []byte("ext"),
		Expiry: registry.Expiry{Unhealthy: 15 * time.Second, Remove: 30 * time.Second},
	}
	p := registry.Publisher{Key: scope("p"), Status: registry.Warning, Info: &registry.PublisherInfo{
		Origin: "dc", Addr: "a", Locality: &registry.Locality{Zone: "z"}, Labels: registry.Pairs{{Key: "l", Value: "1"}}, Ext: []byte("e"), Out: true,
	}}
	if err := r.Open(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r.publish("p", registry.Merge, full, at("t", "h", 6))
	place(t, other, r, "p", elsewhere)
	k := registry.PublisherKey{Owner: "one", Scope: "p"}
	want, _ := r.Held(k)
	got, ok := other.Held(k)
	if !ok || got.Publisher.Member != elsewhere || !got.Publisher.Free {
		t.Fatalf("Held() = %+v, %t, want one of member %d without connection", got, ok, elsewhere)
	}
	got.Publisher.Member = want.Publisher.Member
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Held() = %+v\nwant %+v", got, want)
	}
	row, err := DecodePublisher(k, EncodePublisher(&want.Publisher))
	if err != nil || row.Status != p.Status || !sameInfo(row.Info, want.Publisher.Info) {
		t.Errorf("DecodePublisher() = %+v, %v", row, err)
	}
}

// Place is the whole: what is not in it goes, and equal content is no change.
func TestPlaceReplaces(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.open("p")
	r.publish("p", registry.Merge, at("s", "a", 1), at("s", "b", 1), at("t", "a", 1))
	place(t, other, r, "p", elsewhere)
	before := other.snapshot("s")
	place(t, other, r, "p", elsewhere)
	if got := other.snapshot("s"); got != before {
		t.Error("Place() of the same content made a new snapshot")
	}
	if err := r.Withdraw(t.Context(), scope("p"), []registry.InstanceKey{{Service: svc("t")}, {Service: svc("s"), ID: "a:1"}}); err != nil {
		t.Fatal(err)
	}
	place(t, other, r, "p", elsewhere)
	other.want("s", "b:1")
	other.want("t", "none")
	other.Drop(registry.PublisherKey{Owner: "one", Scope: "p"})
	other.want("s", "none")
}

// CTR-R06: a publisher is written where it is owned.
func TestPublisherElsewhere(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.open("p")
	r.publish("p", registry.Merge, at("s", "a", 1))
	place(t, other, r, "p", elsewhere)
	ctx := t.Context()
	if err := other.Publish(ctx, scope("p"), registry.Merge, []registry.Registration{at("s", "b", 1)}); !errors.Is(err, ErrElsewhere) {
		t.Errorf("Publish() = %v, want %v", err, ErrElsewhere)
	}
	if err := other.Withdraw(ctx, scope("p"), nil); !errors.Is(err, ErrElsewhere) {
		t.Errorf("Withdraw() = %v, want %v", err, ErrElsewhere)
	}
	if err := other.Close(ctx, []registry.PublisherKey{scope("p")}); err != nil {
		t.Errorf("Close() = %v", err)
	}
	other.want("s", "a:1")
	var heard told
	other.Replicate(&heard)
	other.open("p") // its client speaks to this member now
	other.publish("p", registry.Merge, at("s", "b", 1))
	other.want("s", "a:1 b:1")
	if h, _ := other.Home(registry.PublisherKey{Owner: "one", Scope: "p"}); h.Member != 7 {
		t.Errorf("Home() = %+v, want member 7", h)
	}
	if len(heard.take()) == 0 {
		t.Error("nobody was told of a publisher that was taken over")
	}
}

// The other members hear of every change, and of nothing else.
func TestReplicaIsTold(t *testing.T) {
	bubble(t, func(r *rig) {
		var heard told
		ctx := t.Context()
		r.open("before")
		if got := r.Replicate(&heard); len(got) != 1 || got[0].Key.Scope != "before" || !got[0].Free {
			t.Errorf("Replicate() = %+v, want the publisher there is", got)
		}
		want := func(what string, want ...Changed) {
			t.Helper()
			for i := range want {
				want[i].Key, want[i].Free = registry.PublisherKey{Owner: "one", Scope: "p"}, true
			}
			if got := heard.take(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: told %+v, want %+v", what, got, want)
			}
		}
		client, silence := Changed{ByClient: true}, Changed{}
		r.open("p")
		want("open", client)
		r.open("p")
		want("open again")
		x := beating("s", "a", time.Second, time.Minute)
		r.publish("p", registry.Merge, x)
		want("publish", client)
		r.publish("p", registry.Merge, x)
		want("publish the same")
		r.Sync()
		elapse(r.settings.Warmup + 2*time.Second)
		want("silence", silence)
		r.beats(beatOf("p", "s", "a"))
		want("beat", client)
		r.beats(beatOf("p", "s", "a"))
		want("beat again")
		if err := r.Withdraw(ctx, scope("p"), []registry.InstanceKey{{Service: svc("none")}}); err != nil {
			t.Fatal(err)
		}
		want("withdraw nothing")
		if err := r.Withdraw(ctx, scope("p"), []registry.InstanceKey{{Service: svc("s")}}); err != nil {
			t.Fatal(err)
		}
		want("withdraw", client)
		r.publish("p", registry.Merge, x)
		heard.take()
		elapse(2 * time.Minute)
		want("removed", silence, Changed{Gone: true})
		r.open("p")
		if err := r.Close(ctx, []registry.PublisherKey{scope("p")}); err != nil {
			t.Fatal(err)
		}
		want("close", client, Changed{ByClient: true, Gone: true})
		r.Replicate(nil)
		r.open("p")
		want("nobody listens")
	})
}

// ARC-A07, NAC-H1N-27: one member counts the silence. One that takes over starts
// anew, and knows who was silent already.
func TestClocksFollowTheOwner(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		elapse(r.settings.Warmup)
		k := registry.PublisherKey{Owner: "one", Scope: "p"}
		r.open("p")
		r.publish("p", registry.Merge, beating("s", "a", 2*time.Second, 4*time.Second))
		elapse(time.Second)
		r.Assign(k, elsewhere, false)
		elapse(time.Minute)
		if got := r.state("s"); got != registry.Passing {
			t.Errorf("health under another member = %d, want passing", got)
		}
		if got := r.beats(beatOf("p", "s", "a")); len(got) != 1 {
			t.Errorf("Beat() of an instance of another member = %v, want unknown", got)
		}
		r.Assign(k, 7, false)
		elapse(1900 * time.Millisecond)
		if got := r.state("s"); got != registry.Passing {
			t.Errorf("health 1.9 s after taking over = %d, want passing", got)
		}
		elapse(time.Second)
		if got := r.state("s"); got != registry.Critical {
			t.Errorf("health 2.9 s after taking over = %d, want critical", got)
		}
		h, _ := r.Held(k)
		if len(h.Silent) != 1 || !h.Silent[0] {
			t.Fatalf("Held().Silent = %v, want that it is", h.Silent)
		}
		other := newRig(t)
		h.Publisher.Member = elsewhere
		if err := other.Place(h); err != nil {
			t.Fatal(err)
		}
		other.Assign(k, 7, false)
		other.beats(beatOf("p", "s", "a"))
		if got := other.state("s"); got != registry.Passing {
			t.Errorf("health of a silent one after a beat elsewhere = %d, want passing", got)
		}
	})
}

// ARC-A07: when another member says that it owns a publisher of this one, its beats
// count there alone.
func TestPlacedElsewhere(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Sync()
		elapse(time.Minute)
		r.open("p")
		r.publish("p", registry.Merge, beating("s", "a", time.Second, 2*time.Second))
		h, _ := r.Held(registry.PublisherKey{Owner: "one", Scope: "p"})
		h.Publisher.Member = elsewhere
		if err := r.Place(h); err != nil {
			t.Fatal(err)
		}
		elapse(time.Minute)
		if got := r.state("s"); got != registry.Passing {
			t.Errorf("health = %d, want it as its member said", got)
		}
	})
}

// ARC-A07: what decides over sets whose member is out of sight.
func TestFates(t *testing.T) {
	r := newRig(t)
	key := func(s string) registry.PublisherKey { return registry.PublisherKey{Owner: "one", Scope: s} }
	r.open("lost", "again", "alone", "sick", "well")
	r.publish("lost", registry.Merge, at("s", "a", 1))
	r.publish("again", registry.Merge, at("s", "b", 1))
	r.publish("well", registry.Merge, at("s", "b", 1), at("s", "c", 1))
	r.publish("alone", registry.Merge, at("t", "a", 1), at("s", "d", 1))
	sick := at("u", "a", 1)
	sick.Status = registry.Critical
	r.publish("sick", registry.Merge, sick)
	for _, s := range []string{"lost", "again", "alone", "sick"} {
		r.Assign(key(s), elsewhere, false)
		r.Assign(key(s), elsewhere, true)
	}
	got := r.Fates([]registry.PublisherKey{key("lost"), key("again"), key("alone"), key("sick")})
	want := []Fate{{}, {Covered: true, By: []registry.PublisherKey{key("well")}}, {Needed: true}, {}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Fates() = %+v, want %+v", got, want)
	}
}

func TestPlaceRefuses(t *testing.T) {
	good := func() *Held {
		return &Held{Publisher: registry.Publisher{Key: registry.PublisherKey{Owner: "one", Scope: "p"}, Member: elsewhere}, Instances: []registry.Registration{at("s", "a", 1)}}
	}
	tests := map[string]struct {
		edit func(h *Held)
		want error
	}{
		"no owner":      {func(h *Held) { h.Publisher.Key.Owner = "" }, errName},
		"no scope":      {func(h *Held) { h.Publisher.Key.Scope = "" }, errName},
		"no host":       {func(h *Held) { h.Instances[0].Host = "" }, errName},
		"status":        {func(h *Held) { h.Instances[0].Status = 77 }, errStatus},
		"too many":      {func(h *Held) { h.Instances = make([]registry.Registration, registry.MaxPublish+1) }, kv.ErrTooLarge},
		"a long name":   {func(h *Held) { h.Instances[0].Service.Name = string(make([]byte, registry.MaxName+1)) }, kv.ErrTooLarge},
		"other silence": {func(h *Held) { h.Silent = make([]bool, 2) }, errSilence},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, h := newRig(t), good()
			tt.edit(h)
			if err := r.Place(h); !errors.Is(err, tt.want) {
				t.Errorf("Place() = %v, want %v", err, tt.want)
			}
			r.want("s", "none")
			if _, known := r.Home(h.Publisher.Key); known {
				t.Error("something of it was kept")
			}
		})
	}
}
