package catalog

import (
	"context"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// defaultLimit is the size of a page that names none.
const defaultLimit = 1000

// Service implements registry.Catalog.
func (e *Engine) Service(_ context.Context, k registry.ServiceKey) (*registry.Snapshot, error) {
	s := e.find(&k)
	if s == nil {
		return nil, kv.ErrNotFound
	}
	snap := s.snapshot.Load()
	if snap == nil {
		e.mu.Lock()
		snap = e.read(s)
		e.mu.Unlock()
	}
	if snap.Gone {
		return nil, kv.ErrNotFound
	}
	return snap, nil
}

// walk visits services that match, in order, from a key on, until fn returns
// false.
func (e *Engine) walk(ctx context.Context, q *registry.Query, fn func(*service) bool) error {
	f := newFilter(q)
	t := e.names.Load()
	if t == nil {
		e.mu.Lock()
		t = e.sorted.Copy()
		e.names.Store(t)
		e.mu.Unlock()
	}
	var (
		failed error
		n      uint
	)
	start := f.start(q.From)
	t.Ascend(&service{key: start}, func(s *service) bool {
		const checkEvery = 1024
		if n++; n%checkEvery == 0 {
			if failed = ctx.Err(); failed != nil {
				return false
			}
		}
		if f.beyond(&s.key) {
			return false
		}
		if !f.matches(&s.key) || q.Owner != "" && !owned(e.snapshotOf(s), q.Owner) {
			return true
		}
		return fn(s)
	})
	return failed
}

// snapshotOf is the present state of a service.
func (e *Engine) snapshotOf(s *service) *registry.Snapshot {
	if snap := s.snapshot.Load(); snap != nil {
		return snap
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.read(s)
}

// owned says whether a plugin has an instance in a service.
func owned(s *registry.Snapshot, owner string) bool {
	for i := range s.Endpoints {
		if s.Endpoints[i].Publisher.Key.Owner == owner {
			return true
		}
	}
	return false
}

func pageSize(q *registry.Query) int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return min(q.Limit, kv.MaxPage)
}

// Scan implements registry.Catalog.
func (e *Engine) Scan(ctx context.Context, q registry.Query) (registry.Page, error) {
	e.mu.Lock()
	page := registry.Page{Version: e.seen()}
	e.mu.Unlock()
	limit := pageSize(&q)
	err := e.walk(ctx, &q, func(s *service) bool {
		if len(page.Snapshots) == limit {
			key := s.key
			page.Next = &key
			return false
		}
		if snap := e.snapshotOf(s); !snap.Gone {
			page.Snapshots = append(page.Snapshots, snap)
		}
		return true
	})
	if err != nil {
		return registry.Page{}, err
	}
	return page, nil
}

// Names implements registry.Catalog.
func (e *Engine) Names(ctx context.Context, q registry.Query) ([]registry.ServiceKey, error) {
	limit := pageSize(&q)
	var out []registry.ServiceKey
	err := e.walk(ctx, &q, func(s *service) bool {
		out = append(out, s.key)
		return len(out) < limit
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Published implements registry.Catalog.
func (e *Engine) Published(_ context.Context, k registry.PublisherKey) (*registry.Publication, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.publisher(k, true)
	if p == nil {
		p = e.publisher(k, false)
	}
	if p == nil {
		return nil, kv.ErrNotFound
	}
	all := p.all()
	out := &registry.Publication{Publisher: p.pub, Instances: make([]registry.Placed, len(all))}
	for i := range all {
		out.Instances[i] = registry.Placed{Service: all[i].service.key, Instance: all[i].instance}
	}
	return out, nil
}

// Stats implements registry.Catalog.
func (e *Engine) Stats(context.Context) (registry.Stats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return registry.Stats{
		Version: e.seen(), Services: e.sorted.Len(), Instances: e.instances, Healthy: e.healthy, Synced: e.synced,
	}, nil
}
