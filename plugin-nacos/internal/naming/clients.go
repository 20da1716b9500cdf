package naming

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// noClient is an id that nobody has.
func noClient(id string) error { return &Error{NoInstance, "clientId [ " + id + " ] not exist"} }

// Clients lists the ids of all that registered or subscribed, sorted.
func (s *Service) Clients(ctx context.Context) ([]string, error) {
	ids := map[string]struct{}{}
	for from := ""; ; {
		ps, err := s.ephemeral.Publishers(ctx, from, kv.MaxPage)
		if err != nil {
			return nil, fmt.Errorf("list clients: %w", err)
		}
		for _, p := range ps {
			ids[p.Key.Scope] = struct{}{}
			from = p.Key.Scope
		}
		if len(ps) < kv.MaxPage {
			break
		}
	}
	err := s.scan(ctx, registry.Query{Owner: s.owner}, func(snap *registry.Snapshot) {
		for i := range snap.Endpoints {
			if e := &snap.Endpoints[i]; s.own(e) && !e.Publisher.Ephemeral {
				ids[e.Publisher.Key.Scope] = struct{}{}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, src := range s.sources {
		for _, id := range src.Clients() {
			ids[id] = struct{}{}
		}
	}
	out := make([]string, 0, len(ids))
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out, nil
}

// Placed is an instance of a client and the service it is in.
type Placed struct {
	Service registry.ServiceKey
	Target
}

// Published lists what a client registered; NoInstance when it is unknown.
func (s *Service) Published(ctx context.Context, clientID string) ([]Placed, error) {
	pub, err := s.catalog.Published(ctx, registry.PublisherKey{Owner: s.owner, Scope: clientID})
	if errors.Is(err, kv.ErrNotFound) {
		if s.subscribes(clientID) {
			return nil, nil
		}
		return nil, noClient(clientID)
	}
	if err != nil {
		return nil, fmt.Errorf("publications of %s: %w", clientID, err)
	}
	out := make([]Placed, 0, len(pub.Instances))
	for _, p := range pub.Instances {
		out = append(out, Placed{p.Service, Target{p.Instance.Host, p.Instance.Port, p.Instance.Subset}})
	}
	return out, nil
}

// Subscriptions lists what a client subscribed to; NoInstance when it is
// unknown.
func (s *Service) Subscriptions(ctx context.Context, clientID string) ([]Subscriber, error) {
	for _, src := range s.sources {
		if subs, ok := src.Subscriptions(clientID); ok {
			return subs, nil
		}
	}
	if _, err := s.Published(ctx, clientID); err != nil {
		return nil, err
	}
	return nil, nil
}

func (s *Service) subscribes(clientID string) bool {
	for _, src := range s.sources {
		if _, ok := src.Subscriptions(clientID); ok {
			return true
		}
	}
	return false
}

// PublisherOf is a client and the instance it has in a service.
type PublisherOf struct {
	ClientID string
	Target
}

// PublishersOf lists who registered in a service; none for an unknown one.
func (s *Service) PublishersOf(ctx context.Context, k registry.ServiceKey) ([]PublisherOf, error) {
	snap, err := s.fresh(ctx, k)
	if err != nil || snap == nil {
		return nil, err
	}
	var out []PublisherOf
	for i := range snap.Endpoints {
		if e := &snap.Endpoints[i]; s.own(e) { // BRG-NAC-02
			out = append(out, PublisherOf{e.Publisher.Key.Scope, Target{e.Host, e.Port, e.Subset}})
		}
	}
	return out, nil
}

// scan calls f for each service that a query names.
func (s *Service) scan(ctx context.Context, q registry.Query, f func(*registry.Snapshot)) error {
	q.Limit = kv.MaxPage
	for {
		page, err := s.catalog.Scan(ctx, q)
		if err != nil {
			return fmt.Errorf("scan services: %w", err)
		}
		for _, snap := range page.Snapshots {
			f(snap)
		}
		if page.Next == nil {
			return nil
		}
		q.From = *page.Next
	}
}
