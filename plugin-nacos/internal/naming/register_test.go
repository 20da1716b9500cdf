package naming_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// NAC-NAM-21, 22, 53: one registration for each client and service, whatever its
// cluster; the instance of a deregistration does not matter.
func TestRegisterReplaces(t *testing.T) {
	r := newRig(t)
	k := key("s")
	r.register(k, at("10.0.0.1"))
	r.register(k, at("10.0.0.1", func(in *naming.Instance) { in.Cluster, in.Weight, in.Metadata = "c1", 2.5, pairs("a", "b") }))
	r.register(k, at("10.0.0.2"))
	r.want(k, "10.0.0.1:80 c1 w2.5 a=b", "10.0.0.2:80 DEFAULT w1")
	r.ok(r.Deregister(t.Context(), naming.Address("10.0.0.1", 80), k))
	r.ok(r.Deregister(t.Context(), naming.Address("10.0.0.1", 80), k))
	r.ok(r.Deregister(t.Context(), naming.Address("10.0.0.9", 80), key("none")))
	r.want(k, "10.0.0.2:80 DEFAULT w1")

	c := naming.Connection("conn")
	r.ok(r.RegisterBatch(t.Context(), c, k, []naming.Instance{at("10.0.0.3"), at("10.0.0.4"), at("10.0.0.4", func(in *naming.Instance) { in.Weight = 9 })}))
	r.want(k, "10.0.0.2:80 DEFAULT w1", "10.0.0.3:80 DEFAULT w1", "10.0.0.4:80 DEFAULT w9")
	r.ok(r.Register(t.Context(), c, k, at("10.0.0.5")))
	r.want(k, "10.0.0.2:80 DEFAULT w1", "10.0.0.5:80 DEFAULT w1")
	r.ok(r.RegisterBatch(t.Context(), c, k, nil))
	r.want(k, "10.0.0.2:80 DEFAULT w1")
}

// NAC-NAM-53: a client without a connection that has nothing left is none, and
// ending it takes nothing away that it registers at the same time.
func TestEmptyClientEnds(t *testing.T) {
	r := newRig(t)
	c := naming.Address("10.0.0.1", 80)
	clients := func() int {
		ids, err := r.Clients(t.Context())
		r.ok(err)
		return len(ids)
	}
	r.register(key("a"), at("10.0.0.1"))
	r.register(key("b"), at("10.0.0.1"))
	r.ok(r.Deregister(t.Context(), c, key("a")))
	if n := clients(); n != 1 {
		t.Errorf("%d clients while one service is left, want 1", n)
	}
	r.ok(r.Deregister(t.Context(), c, key("b")))
	if n := clients(); n != 0 {
		t.Errorf("%d clients with nothing left, want none", n)
	}

	var group sync.WaitGroup
	s := naming.New(naming.Settings{
		Catalog: interrupted{r.core.Registry(), func() {
			registered := make(chan struct{})
			group.Go(func() {
				defer close(registered)
				r.ok(r.Register(t.Context(), c, key("b"), at("10.0.0.1")))
			})
			select {
			case <-registered: // nothing held it back
			case <-time.After(50 * time.Millisecond):
			}
		}},
		Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(), Owner: "nacos",
	})
	r.Service = s
	r.register(key("a"), at("10.0.0.1"))
	r.ok(r.Deregister(t.Context(), c, key("a")))
	group.Wait()
	r.want(key("b"), "10.0.0.1:80 DEFAULT w1")
}

// interrupted is a catalog in which something happens after it was asked what a
// client has.
type interrupted struct {
	registry.Catalog
	then func()
}

func (i interrupted) Published(ctx context.Context, p registry.PublisherKey) (*registry.Publication, error) {
	pub, err := i.Catalog.Published(ctx, p)
	i.then()
	return pub, err
}

// NAC-NAM-51: clients leave with all they have, more of them than core takes at
// once.
func TestLeaveMany(t *testing.T) {
	r := newRig(t)
	var clients []naming.Client
	for i := range registry.MaxClose + 10 {
		c := naming.Connection(fmt.Sprintf("conn-%d", i))
		r.ok(r.Register(t.Context(), c, key("s"), at(fmt.Sprintf("10.0.%d.%d", i/200, i%200))))
		clients = append(clients, c)
	}
	r.ok(r.Leave(t.Context(), append(clients, naming.Connection("unknown"))...))
	r.want(key("s"))
	if ids, err := r.Clients(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("Clients() = %v, %v, want none", ids, err)
	}
}

// NAC-NAM-25, NAC-H1N-28: a durable instance is one for each address and service;
// its end asks for nothing but the address.
func TestPersistent(t *testing.T) {
	r := newRig(t)
	k := key("s")
	r.durable(k, at("10.0.0.1", func(in *naming.Instance) { in.Metadata = pairs("p", "1") }))
	r.durable(k, at("10.0.0.2", func(in *naming.Instance) { in.Cluster, in.Enabled = "c9", false }))
	r.want(k, "10.0.0.1:80 DEFAULT w1 p=1", "10.0.0.2:80 c9 w1 off")
	r.durable(k, at("10.0.0.1", func(in *naming.Instance) { in.Cluster = "c1" }))
	r.want(k, "10.0.0.1:80 c1 w1", "10.0.0.2:80 c9 w1 off")
	r.ok(r.Deregister(t.Context(), naming.Address("10.0.0.1", 80), k)) // as an ephemeral one: nothing
	r.want(k, "10.0.0.1:80 c1 w1", "10.0.0.2:80 c9 w1 off")
	for range 2 {
		r.ok(r.DeregisterPersistent(t.Context(), by, k, "10.0.0.1", 80))
	}
	r.ok(r.DeregisterPersistent(t.Context(), by, key("none"), "10.0.0.1", 80))
	r.want(k, "10.0.0.2:80 c9 w1 off")
}

// NAC-NAM-23, NAD-NSEM-50, BRG-NAC-05, CTR-M06: one kind for each service, told at
// once, whatever other protocols have in it.
func TestOneKind(t *testing.T) {
	r := newRig(t)
	const (
		durable   = "errCode: 400, errMsg: Current service G@@%s is persistent service, can't %s ephemeral instance. "
		ephemeral = "errCode: 400, errMsg: Current service G@@%s is ephemeral service, can't register persistent instance. "
	)
	conn := naming.Connection("conn")
	r.foreign(key("d"), "10.9.0.1")
	for range 20 { // each change may be told before or after the next call
		r.durable(key("d"), at("10.0.0.1"))
		r.refused(r.Register(t.Context(), conn, key("d"), at("10.0.0.2")), naming.KindConflict, fmt.Sprintf(durable, "d", "register"))
		r.refused(r.RegisterBatch(t.Context(), conn, key("d"), []naming.Instance{at("10.0.0.2")}), naming.KindConflict, fmt.Sprintf(durable, "d", "batch register"))
		r.ok(r.DeregisterPersistent(t.Context(), by, key("d"), "10.0.0.1", 80))
		r.ok(r.Register(t.Context(), conn, key("d"), at("10.0.0.2"))) // it is free again
		r.refused(r.RegisterPersistent(t.Context(), by, key("d"), at("10.0.0.1")), naming.KindConflict, fmt.Sprintf(ephemeral, "d"))
		r.ok(r.Deregister(t.Context(), conn, key("d")))
	}
	r.ok(r.Create(t.Context(), by, key("c"), naming.Definition{}))
	r.refused(r.Register(t.Context(), conn, key("c"), at("10.0.0.2")), naming.KindConflict, fmt.Sprintf(durable, "c", "register"))
	r.ok(r.Remove(t.Context(), by, key("c")))
	r.ok(r.Register(t.Context(), conn, key("c"), at("10.0.0.2")))
	r.ok(r.Create(t.Context(), by, key("e"), naming.Definition{Kind: naming.Ephemeral}))
	r.refused(r.RegisterPersistent(t.Context(), by, key("e"), at("10.0.0.2")), naming.KindConflict, fmt.Sprintf(ephemeral, "e"))
	r.ok(r.Register(t.Context(), conn, key("e"), at("10.0.0.2")))
}

// NAC-NAM-23 before the changes are followed: then every registration looks.
func TestOneKindBeforeRun(t *testing.T) {
	r := newRig(t)
	r.durable(key("s"), at("10.0.0.1"))
	fresh := naming.New(naming.Settings{
		Catalog: r.core.Registry(), Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(), Owner: "nacos",
	})
	r.refused(fresh.Register(t.Context(), naming.Connection("c"), key("s"), at("10.0.0.2")), naming.KindConflict,
		"errCode: 400, errMsg: Current service G@@s is persistent service, can't register ephemeral instance. ")
}

// NAC-NAM-23: what another member made durable counts here, and no longer when it
// has gone there.
func TestOneKindOfOthers(t *testing.T) {
	r := newRig(t)
	elsewhere := naming.New(naming.Settings{
		Catalog: r.core.Registry(), Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(), Owner: "nacos",
	})
	conn := naming.Connection("c")
	r.ok(elsewhere.RegisterPersistent(t.Context(), by, key("s"), at("10.0.0.1")))
	r.eventually("a durable service takes no ephemeral instance", func() bool {
		if r.Register(t.Context(), conn, key("s"), at("10.0.0.2")) != nil {
			return true
		}
		r.ok(r.Deregister(t.Context(), conn, key("s"))) // it was not told yet
		return false
	})
	r.ok(elsewhere.DeregisterPersistent(t.Context(), by, key("s"), "10.0.0.1", 80))
	r.eventually("it is free again", func() bool { return r.Register(t.Context(), conn, key("s"), at("10.0.0.2")) == nil })
}

// NAC-CON-39: a durable registration that is repeated changes nothing.
func TestPersistentAgain(t *testing.T) {
	r := newRig(t)
	version := func() uint64 {
		snap, err := r.core.Registry().Service(t.Context(), key("s"))
		r.ok(err)
		return snap.Version
	}
	in := at("10.0.0.1", func(in *naming.Instance) {
		in.Cluster, in.Metadata = "c1", pairs("preserved.instance.id.generator", "snowflake")
	})
	r.durable(key("s"), in)
	before := version()
	r.durable(key("s"), in)
	if after := version(); after != before {
		t.Errorf("version %d became %d", before, after)
	}
}

// NAC-H1N-20..24: beats of what is known and unknown, with and without a body.
func TestBeat(t *testing.T) {
	r := newRig(t)
	k := key("s")
	light := naming.Beat{IP: "10.0.0.1", Port: 80}
	beat := func(b naming.Beat, want naming.Beaten) {
		t.Helper()
		if got, err := r.Beat(t.Context(), k, b); err != nil || got != want {
			t.Errorf("Beat(%+v) = %+v, %v, want %+v", b, got, err, want)
		}
	}
	beat(light, naming.Beaten{Interval: 5000})
	full := light
	full.Full = &naming.Instance{IP: "10.0.0.1", Port: 80, Healthy: true, Enabled: true, Cluster: "c1", Metadata: pairs("preserved.heart.beat.interval", "2000")}
	beat(full, naming.Beaten{Known: true, Interval: 2000})
	r.want(k, "10.0.0.1:80 c1 w0 preserved.heart.beat.interval=2000")
	beat(light, naming.Beaten{Known: true, Interval: 2000}) // in another cluster
	light.Cluster = "c1"
	beat(light, naming.Beaten{Known: true, Interval: 2000})
	r.register(k, at("10.0.0.2", func(in *naming.Instance) { in.Metadata = pairs("preserved.heart.beat.interval", "-5") }))
	beat(naming.Beat{IP: "10.0.0.2", Port: 80}, naming.Beaten{Known: true, Interval: 5000}) // NAC-QRK-22
	r.durable(key("d"), at("10.0.0.1"))
	k = key("d")
	beat(naming.Beat{IP: "10.0.0.1", Port: 80}, naming.Beaten{Interval: 5000})
}

// NAC-H1N-05, 09, NAC-NAM-01: one instance, and the health of all.
func TestFindAndStatuses(t *testing.T) {
	r := newRig(t)
	k := key("s")
	r.register(k, at("10.0.0.1", func(in *naming.Instance) { in.Enabled, in.NoID = false, true }))
	r.register(k, at("10.0.0.2", func(in *naming.Instance) { in.Healthy, in.ID = false, "mine" }))
	r.foreign(k, "10.0.0.3")
	for ip, want := range map[string]naming.Found{
		"10.0.0.1": {Healthy: true, Kind: naming.Ephemeral},
		"10.0.0.2": {ID: "mine", HasID: true, Kind: naming.Ephemeral},
		"10.0.0.3": {ID: "10.0.0.3#80#DEFAULT#G@@s", HasID: true, Healthy: true, Kind: naming.Ephemeral},
	} {
		got, err := r.Find(t.Context(), k, naming.Target{IP: ip, Port: 80})
		if err != nil || got.ID != want.ID || got.HasID != want.HasID || got.Healthy != want.Healthy || got.Kind != want.Kind {
			t.Errorf("Find(%s) = %+v, %v, want %+v", ip, got, err, want)
		}
	}
	for _, none := range []naming.Target{{IP: "10.0.0.1", Port: 81}, {IP: "10.0.0.1", Port: 80, Cluster: "c1"}, {IP: "10.0.0.9", Port: 80}} {
		_, err := r.Find(t.Context(), k, none)
		r.refused(err, naming.NoInstance, "no matched ip found!")
	}
	_, err := r.Find(t.Context(), key("none"), naming.Target{IP: "10.0.0.1", Port: 80})
	r.refused(err, naming.NoInstance, "no matched ip found!")
	got, err := r.Statuses(t.Context(), k)
	if want := []string{"10.0.0.1:80_true", "10.0.0.2:80_false", "10.0.0.3:80_true"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Statuses() = %v, %v, want %v", got, err, want)
	}
}
