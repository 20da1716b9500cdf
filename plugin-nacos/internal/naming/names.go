package naming

import (
	"context"
	"fmt"
	"strings"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Page returns one page of the plain names of a group, sorted, and how many
// there are (NAC-NAM-27). Pages begin at 1, page 0 is the first too, and a page
// of 0 has no names.
func (s *Service) Page(ctx context.Context, namespace, group string, page, size int) (names []string, total int, err error) {
	if err := s.barrier(ctx, false); err != nil {
		return nil, 0, err
	}
	k := Key(namespace, group, "")
	stats, err := s.catalog.Stats(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("names of services: %w", err)
	}
	if s.index.reach(ctx, stats.Version) {
		names, total = s.index.page(groupKey{k.Namespace, k.Group}, page, size)
		return names, total, nil
	}
	keys, total, err := s.page(ctx, registry.Query{Namespace: k.Namespace, Group: k.Group}, page, size, nil)
	names = make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].Name
	}
	return names, total, err
}

// Names lists the grouped names of a namespace, blank for all of them, that hold
// a text (NAC-H1N-15).
func (s *Service) Names(ctx context.Context, namespace, text string) (map[string][]string, int, error) {
	out := map[string][]string{}
	n := 0
	err := s.keys(ctx, registry.Query{Namespace: namespace}, func(k registry.ServiceKey) {
		if name := Grouped(k); strings.Contains(name, text) {
			out[k.Namespace] = append(out[k.Namespace], name)
			n++
		}
	})
	return out, n, err
}

// Search names services by texts that their group and name hold.
type Search struct {
	Namespace     string // blank: public
	Group, Name   string // blank: all
	WithInstances bool   // leaves out those without any
}

// Services returns one page of services, sorted by group and name, and how many
// there are.
func (s *Service) Services(ctx context.Context, q Search, page, size int) ([]*Detail, int, error) {
	if err := s.barrier(ctx, false); err != nil {
		return nil, 0, err
	}
	all := registry.Query{Namespace: Key(q.Namespace, "", "").Namespace}
	matches := func(k registry.ServiceKey) bool {
		return strings.Contains(k.Group, q.Group) && strings.Contains(k.Name, q.Name)
	}
	if q.WithInstances {
		return s.servicesWithInstances(ctx, all, matches, page, size)
	}
	keys, total, err := s.page(ctx, all, page, size, matches)
	if err != nil {
		return nil, 0, err
	}
	out := make([]*Detail, 0, len(keys))
	for _, k := range keys {
		snap, err := s.snapshot(ctx, k)
		if err != nil {
			return nil, 0, err
		}
		if snap != nil { // else it went meanwhile
			out = append(out, s.describe(snap))
		}
	}
	return out, total, nil
}

func (s *Service) servicesWithInstances(ctx context.Context, q registry.Query, matches func(registry.ServiceKey) bool, page, size int) ([]*Detail, int, error) {
	var (
		out   []*Detail
		total int
	)
	from, to := window(page, size)
	err := s.scan(ctx, q, func(snap *registry.Snapshot) {
		if len(snap.Endpoints) == 0 || !matches(snap.Key) {
			return
		}
		if total >= from && total < to {
			out = append(out, s.describe(snap))
		}
		total++
	})
	return out, total, err
}

// page returns the keys of one page, and how many match.
func (s *Service) page(ctx context.Context, q registry.Query, page, size int, matches func(registry.ServiceKey) bool) ([]registry.ServiceKey, int, error) {
	var (
		out   []registry.ServiceKey
		total int
	)
	from, to := window(page, size)
	err := s.keys(ctx, q, func(k registry.ServiceKey) {
		if matches != nil && !matches(k) {
			return
		}
		if total >= from && total < to {
			out = append(out, k)
		}
		total++
	})
	return out, total, err
}

// window is the range of indices of a page.
func window(page, size int) (from, to int) {
	const most = 1 << 30
	page, size = min(max(page, 1), most), min(max(size, 0), most)
	return (page - 1) * size, page * size
}

// keys calls f for each key that a query names, in order.
func (s *Service) keys(ctx context.Context, q registry.Query, f func(registry.ServiceKey)) error {
	q.Limit = kv.MaxPage
	for {
		ks, err := s.catalog.Names(ctx, q)
		if err != nil {
			return fmt.Errorf("names of services: %w", err)
		}
		for _, k := range ks {
			f(k)
		}
		if len(ks) < q.Limit {
			return nil
		}
		q.From = ks[len(ks)-1]
		q.From.Name += "\x00" // the next possible key
	}
}
