package catalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// Writers, readers and streams at once: a reader finds every service sorted and
// every version at least as new as the last, and a stream ends with the newest
// state of each service.
func TestConcurrent(t *testing.T) {
	const writers, rounds, services = 4, 300, 20
	r := newRig(t)
	st, err := r.Watch(t.Context(), registry.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work, readers sync.WaitGroup
	last := map[registry.ServiceKey]*registry.Snapshot{}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		for last[svc("end")] == nil {
			cs, err := st.Next(ctx)
			if err != nil {
				t.Errorf("Next() = %v", err)
				return
			}
			for _, c := range cs {
				if old := last[c.Snapshot.Key]; old != nil && old.Version > c.Snapshot.Version {
					t.Errorf("stream: version %d of %s after %d", c.Snapshot.Version, c.Snapshot.Key.Name, old.Version)
				}
				last[c.Snapshot.Key] = c.Snapshot
			}
		}
	}()
	readers.Go(func() { readAll(ctx, t, r, services) })
	for i := range writers {
		work.Go(func() { writeSome(t, r, fmt.Sprint("c", i), rounds, services) })
	}
	work.Wait()
	r.open("end")
	r.publish("end", registry.Merge, at("end", "h", 1)) // the last change of all
	<-followed
	stop()
	readers.Wait()
	for i := range services {
		s := r.snapshot(fmt.Sprint("s", i))
		if got := last[svc(fmt.Sprint("s", i))]; got != s && (s != nil || !got.Gone) {
			t.Errorf("stream ended with %p of s%d, want %p", got, i, s)
		}
	}
}

func writeSome(t *testing.T, r *rig, scopeName string, rounds, services int) {
	t.Helper()
	ctx := t.Context()
	for range rounds {
		s := fmt.Sprint("s", rand.IntN(services))
		var err error
		switch rand.IntN(5) {
		case 0:
			err = r.Close(ctx, []registry.PublisherKey{scope(scopeName)})
		case 1:
			if err = r.Open(ctx, registry.Publisher{Key: scope(scopeName)}); err == nil {
				err = r.Withdraw(ctx, scope(scopeName), []registry.InstanceKey{{Service: svc(s)}})
			}
		default:
			if err = r.Open(ctx, registry.Publisher{Key: scope(scopeName), Status: registry.Status(1 + rand.IntN(3))}); err == nil {
				err = r.Publish(ctx, scope(scopeName), registry.Merge, []registry.Registration{at(s, fmt.Sprint("h", rand.IntN(9)), 1)})
			}
		}
		if err != nil {
			t.Errorf("write of %s: %v", scopeName, err)
		}
	}
}

func readAll(ctx context.Context, t *testing.T, r *rig, services int) {
	t.Helper()
	versions := make([]uint64, services)
	for ctx.Err() == nil {
		for i := range services {
			s := r.snapshot(fmt.Sprint("s", i))
			if s == nil {
				continue
			}
			if s.Version < versions[i] {
				t.Errorf("version %d of s%d after %d", s.Version, i, versions[i])
			}
			versions[i] = s.Version
			for j := 1; j < len(s.Endpoints); j++ {
				if compareInstances(s.Endpoints[j-1].Instance, s.Endpoints[j].Instance) >= 0 {
					t.Errorf("endpoints %d and %d of s%d are not in order", j-1, j, i)
				}
			}
		}
		if _, err := r.Names(ctx, registry.Query{}); err != nil && ctx.Err() == nil {
			t.Errorf("Names() = %v", err)
		}
	}
}
