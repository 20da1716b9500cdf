package registrytest

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// check compares every way to read with the model.
func (d *driver) check(t *rapid.T) {
	all := d.m.services()
	for _, name := range []string{"s1", "s2", "s3", "s4"} {
		d.checkService(t, service(name))
	}
	names, err := d.b.Catalog.Names(d.ctx(), registry.Query{})
	if err != nil || !slices.Equal(names, all) {
		t.Fatalf("Names() = %v, %v, want %v", names, err, all)
	}
	page, err := d.b.Catalog.Scan(d.ctx(), registry.Query{Owner: two})
	d.must(t, "Scan()", err)
	var want []registry.ServiceKey
	for _, k := range all {
		if d.m.has(k, two) {
			want = append(want, k)
		}
	}
	var got []registry.ServiceKey
	for _, s := range page.Snapshots {
		got = append(got, s.Key)
	}
	if !slices.Equal(got, want) || page.Next != nil {
		t.Fatalf("Scan(two) = %v, next %v, want %v", got, page.Next, want)
	}
	st, err := d.b.Catalog.Stats(d.ctx())
	services, instances, healthy := d.m.counts()
	if err != nil || st.Services != services || st.Instances != instances || st.Healthy != healthy {
		t.Fatalf("Stats() = %+v, %v, want %d services, %d instances, %d of them healthy", st, err, services, instances, healthy)
	}
	for _, owner := range []string{one, two} {
		for _, scope := range []string{"a", "b", "c"} {
			d.checkPublished(t, registry.PublisherKey{Owner: owner, Scope: scope})
		}
	}
}

func (m *model) has(k registry.ServiceKey, owner string) bool {
	return slices.ContainsFunc(m.ends(k), func(e end) bool { return e.id.pub.Owner == owner })
}

func (d *driver) checkService(t *rapid.T, k registry.ServiceKey) {
	s, err := d.b.Catalog.Service(d.ctx(), k)
	want := d.m.view(k)
	if got := renderSnapshot(s); got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("Service(%s) = %v\n%s\nwant\n%s", k.Name, err, got, want)
	}
	if s == nil {
		return
	}
	if s.Version < d.versions[k] {
		t.Fatalf("Service(%s): version %d after %d", k.Name, s.Version, d.versions[k])
	}
	d.versions[k] = s.Version
	again, _ := d.b.Catalog.Service(d.ctx(), k)
	if again != s {
		t.Fatalf("Service(%s) built two snapshots of one state", k.Name)
	}
}

func (d *driver) checkPublished(t *rapid.T, k registry.PublisherKey) {
	id := pubID{k, true}
	if _, open := d.m.publishers[id]; !open {
		id.ephemeral = false
	}
	p, err := d.b.Catalog.Published(d.ctx(), k)
	if !id.ephemeral && !d.isRow(k) {
		if !errors.Is(err, kv.ErrNotFound) {
			t.Fatalf("Published(%v) = %+v, %v, want %v", k, p, err, kv.ErrNotFound)
		}
		return
	}
	d.must(t, "Published()", err)
	pub := d.m.publisher(id)
	if got, want := renderPublisher(p.Publisher), renderPublisher(&pub); got != want {
		t.Fatalf("Published(%v) = %s, want %s", k, got, want)
	}
	if got, want := renderPublication(p), d.m.published(id); got != want {
		t.Fatalf("Published(%v) =\n%s\nwant\n%s", k, got, want)
	}
}

// watcher is a slow reader: it knows what it was told, and nothing else.
type watcher struct {
	query  registry.Query
	stream registry.Stream
	known  map[registry.ServiceKey]string
}

func (d *driver) watch(t *rapid.T, q registry.Query) {
	st, err := d.b.Catalog.Watch(d.ctx(), q, 0)
	d.must(t, "Watch()", err)
	d.watchers = append(d.watchers, &watcher{query: q, stream: st, known: map[registry.ServiceKey]string{}})
}

func (d *driver) closeAll() {
	for _, w := range d.watchers {
		_ = w.stream.Close()
	}
}

// wanted is what a reader ought to know.
func (d *driver) wanted(w *watcher) map[registry.ServiceKey]string {
	out := map[registry.ServiceKey]string{}
	for _, k := range d.m.services() {
		if w.query.Owner == "" || d.m.has(k, w.query.Owner) {
			out[k] = d.m.view(k)
		}
	}
	return out
}

func (d *driver) read(t *rapid.T) {
	d.drain(t, rapid.SampledFrom(d.watchers).Draw(t, "reader"))
}

// drain reads until the reader knows everything. What it is told is always the
// newest state, each service once a time.
func (d *driver) drain(t *rapid.T, w *watcher) {
	want := d.wanted(w)
	for deadline := time.Now().Add(10 * time.Second); !equal(w.known, want); {
		ctx, cancel := context.WithDeadline(d.ctx(), deadline)
		cs, err := w.stream.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("Next() = %v; the reader knows %v, want %v", err, w.known, want)
		}
		seen := map[registry.ServiceKey]bool{}
		for _, c := range cs {
			k := c.Snapshot.Key
			if seen[k] {
				t.Fatalf("Next() tells of %s twice", k.Name)
			}
			seen[k] = true
			d.told(t, w, c)
		}
	}
}

func (d *driver) told(t *rapid.T, w *watcher, c registry.Change) {
	k := c.Snapshot.Key
	if got, want := renderSnapshot(c.Snapshot), d.m.view(k); got != want {
		t.Fatalf("Next(): %s is\n%s\nwant its newest state\n%s", k.Name, got, want)
	}
	_, knew := w.known[k]
	_, wants := d.wanted(w)[k]
	if !knew && !wants {
		t.Fatalf("Next() tells of %s, which neither matches nor did", k.Name)
	}
	if wants && c.Appeared == knew {
		t.Fatalf("Next(): %s appeared=%t, but the reader knew it: %t", k.Name, c.Appeared, knew)
	}
	if !wants {
		delete(w.known, k)
		return
	}
	w.known[k] = d.m.view(k)
}

func equal(a, b map[registry.ServiceKey]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// resume replaces a reader by one that lists first and goes on from there.
func (d *driver) resume(t *rapid.T) {
	w := rapid.SampledFrom(d.watchers).Draw(t, "reader")
	page, err := d.b.Catalog.Scan(d.ctx(), w.query)
	d.must(t, "Scan()", err)
	st, err := d.b.Catalog.Watch(d.ctx(), w.query, page.Version)
	d.must(t, "Watch()", err)
	_ = w.stream.Close()
	w.stream, w.known = st, map[registry.ServiceKey]string{}
	for _, s := range page.Snapshots {
		w.known[s.Key] = renderSnapshot(s)
	}
}
