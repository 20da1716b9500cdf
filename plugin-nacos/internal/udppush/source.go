package udppush

import (
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

var _ naming.Source = (*API)(nil)

// Subscribers implements naming.Source.
func (a *API) Subscribers(k registry.ServiceKey) (out []naming.Subscriber) {
	a.pusher.Each(k, func(c *client, s fanout.Subscription) { out = append(out, subscriber(c, k, s)) })
	return out
}

// Subscriptions implements naming.Source.
func (a *API) Subscriptions(clientID string) ([]naming.Subscriber, bool) {
	c := a.find(clientID)
	if c == nil {
		return nil, false
	}
	out := []naming.Subscriber{}
	a.pusher.Of(c, func(k registry.ServiceKey, s fanout.Subscription) { out = append(out, subscriber(c, k, s)) })
	return out, true
}

func (a *API) find(clientID string) *client {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clients {
		if c.id == clientID {
			return c
		}
	}
	return nil
}

// Clients implements naming.Source.
func (a *API) Clients() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, 0, len(a.clients))
	for _, c := range a.clients {
		out = append(out, c.id)
	}
	return out
}

// Count implements naming.Source.
func (a *API) Count() int { return a.pusher.Count() }

func subscriber(c *client, k registry.ServiceKey, s fanout.Subscription) naming.Subscriber {
	return naming.Subscriber{
		Service: k, ClientID: c.id, IP: c.address.Addr().String(), Port: int(c.address.Port()),
		Agent: s.Agent, App: s.App, Clusters: s.Clusters,
	}
}
