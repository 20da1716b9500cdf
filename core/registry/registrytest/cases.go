package registrytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

func instance(name, host string) registry.Registration {
	return registry.Registration{Service: service(name), Host: host, Port: 80, Weight: 1, Enabled: true}
}

func scope(s string) registry.PublisherKey { return registry.PublisherKey{Scope: s} }

func open(t *testing.T, b Backend, owner, s string) registry.Ephemeral {
	t.Helper()
	w := b.Ephemeral(owner)
	if err := w.Open(t.Context(), registry.Publisher{Key: scope(s)}); err != nil {
		t.Fatalf("Open() = %v", err)
	}
	return w
}

func publish(t *testing.T, w registry.Ephemeral, s string, rs ...registry.Registration) {
	t.Helper()
	if err := w.Publish(t.Context(), scope(s), registry.Merge, rs); err != nil {
		t.Fatalf("Publish() = %v", err)
	}
}

func register(t *testing.T, b Backend, ops ...registry.Op) {
	t.Helper()
	if err := txn.Register(t.Context(), b.Txn(one), auth.Actor{}, ops...); err != nil {
		t.Fatalf("Register() = %v", err)
	}
}

func persistent(s, name, host string) registry.Op {
	r := instance(name, host)
	r.Publisher = scope(s)
	return registry.Op{PutInstance: &r}
}

func get(t *testing.T, b Backend, name string) *registry.Snapshot {
	t.Helper()
	s, err := b.Catalog.Service(t.Context(), service(name))
	if err != nil {
		t.Fatalf("Service(%s) = %v", name, err)
	}
	return s
}

// foreign: the owner of a key is the plugin whose handle it came through, and
// nobody can claim another's (CTR-M07).
func foreign(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	publish(t, w, "c", instance("a", "h"))
	theirs := registry.PublisherKey{Owner: one, Scope: "c"}
	other := b.Ephemeral(two)
	_, beat := other.Beat(t.Context(), []registry.Beat{{Instance: registry.InstanceKey{Publisher: theirs}}})
	for call, err := range map[string]error{
		"Open":     other.Open(t.Context(), registry.Publisher{Key: theirs}),
		"Publish":  other.Publish(t.Context(), theirs, registry.Merge, nil),
		"Withdraw": other.Withdraw(t.Context(), theirs, nil),
		"Close":    other.Close(t.Context(), []registry.PublisherKey{theirs}),
		"Beat":     beat,
		"Drop":     txn.Register(t.Context(), b.Txn(two), auth.Actor{}, registry.Op{DropPublisher: &theirs}),
	} {
		if !errors.Is(err, kv.ErrForeign) {
			t.Errorf("%s of another plugin's publisher = %v, want %v", call, err, kv.ErrForeign)
		}
	}
	if err := other.Close(t.Context(), []registry.PublisherKey{scope("c")}); err != nil {
		t.Fatal(err) // its own, of which there is none
	}
	if got := get(t, b, "a").Endpoints[0].Publisher.Key; got != theirs {
		t.Errorf("publisher = %+v, want %+v", got, theirs)
	}
}

// unchanged: what is written again as it is makes no snapshot and no change.
func unchanged(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	r := instance("a", "h")
	r.Meta = registry.Pairs{{Key: "k", Value: "v"}}
	publish(t, w, "c", r)
	register(t, b, persistent("p", "a", "h2"))
	before := get(t, b, "a")
	open(t, b, one, "c")
	publish(t, w, "c", r)
	if err := w.Publish(t.Context(), scope("c"), registry.ReplaceService, []registry.Registration{r}); err != nil {
		t.Fatal(err)
	}
	register(t, b, persistent("p", "a", "h2"))
	if get(t, b, "a") != before {
		t.Error("identical writes made a new snapshot")
	}
	r.Weight = 2
	publish(t, w, "c", r)
	after := get(t, b, "a")
	if before.Endpoints[0].Weight != 1 || after.Endpoints[0].Weight != 2 || after.Version <= before.Version {
		t.Errorf("weights %v, %v, versions %d, %d, want the old snapshot as it was and a newer one", before.Endpoints[0].Weight, after.Endpoints[0].Weight, before.Version, after.Version)
	}
	if after.Endpoints[1].Instance != before.Endpoints[1].Instance {
		t.Error("an instance that did not change is not shared")
	}
}

// shared: equal metadata is one text, whoever registered it (CTR-M10).
func shared(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	for i := range 3 {
		r := instance("a", fmt.Sprint("h", i))
		r.Meta = registry.PairsOf(map[string]string{"version": "1", "zone": "z"})
		publish(t, w, "c", r)
	}
	es := get(t, b, "a").Endpoints
	at := func(i int) *byte { return unsafe.StringData(string(es[i].Meta)) }
	if at(0) != at(1) || at(1) != at(2) {
		t.Error("equal metadata of three instances is not shared")
	}
}

// streams: a cancelled Next loses nothing, Close ends one that waits (CTR-B05).
func streams(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	st, err := b.Catalog.Watch(t.Context(), registry.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := st.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next() without changes = %v, want %v", err, context.DeadlineExceeded)
	}
	publish(t, w, "c", instance("b", "h"), instance("a", "h"))
	cs, err := st.Next(t.Context())
	if err != nil || len(cs) != 2 || cs[0].Snapshot.Key.Name != "b" && !b.Unordered || !cs[0].Appeared {
		t.Errorf("Next() = %+v, %v, want b, then a", cs, err)
	}
	done := make(chan error)
	go func() { _, err := st.Next(t.Context()); done <- err }()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() while closed = %v, want %v", err, kv.ErrClosed)
	}
}

// pages: pages joined are the whole list, in order; patterns choose.
func pages(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	var want []string
	for i := range 25 {
		publish(t, w, "c", instance(fmt.Sprintf("s%02d", i), "h"))
		want = append(want, fmt.Sprintf("s%02d", i))
	}
	var got []string
	q := registry.Query{Namespace: "n", Group: "g", Name: "s*", Limit: 7}
	for {
		p, err := b.Catalog.Scan(t.Context(), q)
		if err != nil || len(p.Snapshots) > 7 {
			t.Fatalf("Scan() = %d services, %v, want at most 7", len(p.Snapshots), err)
		}
		for _, s := range p.Snapshots {
			got = append(got, s.Key.Name)
		}
		if p.Next == nil {
			break
		}
		q.From = *p.Next
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("pages = %v, want %v", got, want)
	}
	ks, err := b.Catalog.Names(t.Context(), registry.Query{Name: "*1*"})
	if err != nil || len(ks) != 12 {
		t.Errorf("Names(*1*) = %d names, %v, want 12", len(ks), err)
	}
}

// limits: nothing of a refused call is stored (CTR-R11).
func limits(t *testing.T, b Backend) {
	t.Helper()
	w := open(t, b, one, "c")
	long := instance("a", strings.Repeat("x", registry.MaxName+1))
	if err := w.Publish(t.Context(), scope("c"), registry.Merge, []registry.Registration{instance("a", "h"), long}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Publish(long host) = %v, want %v", err, kv.ErrTooLarge)
	}
	if err := w.Publish(t.Context(), scope("c"), registry.Merge, make([]registry.Registration, registry.MaxPublish+1)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Publish(too many) = %v, want %v", err, kv.ErrTooLarge)
	}
	long.Publisher = scope("p")
	if err := txn.Register(t.Context(), b.Txn(one), auth.Actor{}, persistent("p", "a", "h"), registry.Op{PutInstance: &long}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Register(long host) = %v, want %v", err, kv.ErrTooLarge)
	}
	if _, err := b.Catalog.Service(t.Context(), service("a")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Service() = %v, want %v: a refused call left something", err, kv.ErrNotFound)
	}
}

// restart: what is persistent is there again, what is ephemeral is not.
func restart(t *testing.T, b Backend) {
	t.Helper()
	if b.Restart == nil {
		t.Skip("this backend cannot be restarted")
	}
	publish(t, open(t, b, one, "c"), "c", instance("a", "eph"), instance("only", "eph"))
	weight := 7.0
	register(t, b, persistent("p", "a", "row"),
		registry.Op{PutService: &registry.ServicePut{Service: registry.Service{Key: service("set")}}},
		registry.Op{PutOverride: &registry.OverridePut{Override: registry.Override{Service: service("a"), Host: "row", Port: 80, Weight: &weight}}})
	before := get(t, b, "a")
	b = b.Restart(t)
	after := get(t, b, "a")
	if len(after.Endpoints) != 1 || after.Endpoints[0].Host != "row" || after.Endpoints[0].Weight != 7 || after.Mixed || after.Revision == 0 {
		t.Errorf("Service(a) after a restart = %+v, want the row alone, overridden", after)
	}
	if after.Revision > before.Revision {
		t.Errorf("Revision = %d after a restart, want at most %d", after.Revision, before.Revision)
	}
	ks, err := b.Catalog.Names(t.Context(), registry.Query{})
	if err != nil || len(ks) != 2 {
		t.Errorf("Names() after a restart = %v, %v, want a and set", ks, err)
	}
}

// readers: whoever was acknowledged reads it, while others write (CTR-B07).
func readers(t *testing.T, b Backend) {
	t.Helper()
	var work sync.WaitGroup
	for i := range 4 {
		owner, c := []string{one, two}[i%2], fmt.Sprint("c", i)
		w := open(t, b, owner, c)
		work.Go(func() {
			for j := range 50 {
				r := instance("a", fmt.Sprint("h", i))
				r.Weight = float64(j)
				if err := w.Publish(t.Context(), scope(c), registry.Merge, []registry.Registration{r}); err != nil {
					t.Errorf("Publish() = %v", err)
					return
				}
				s, err := b.Catalog.Service(t.Context(), r.Service)
				if err != nil || !contains(s, r.Host, r.Weight) {
					t.Errorf("Service() after Publish lacks %s with weight %v", r.Host, r.Weight)
				}
			}
		})
	}
	work.Go(func() {
		for j := range 50 {
			if err := txn.Register(t.Context(), b.Txn(one), auth.Actor{}, persistent("p", "a", fmt.Sprint("row", j))); err != nil {
				t.Errorf("Register() = %v", err)
				return
			}
			s, err := b.Catalog.Service(t.Context(), service("a"))
			if err != nil || !contains(s, fmt.Sprint("row", j), 1) {
				t.Errorf("Service() after Register lacks row%d", j)
			}
		}
	})
	work.Wait()
}

func contains(s *registry.Snapshot, host string, weight float64) bool {
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; e.Host == host && e.Weight == weight {
			return true
		}
	}
	return false
}
