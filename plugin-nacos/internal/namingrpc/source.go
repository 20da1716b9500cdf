package namingrpc

import (
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

var _ naming.Source = (*API)(nil)

// Subscribers implements naming.Source.
func (a *API) Subscribers(k registry.ServiceKey) []naming.Subscriber {
	p := a.pusher
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[k]
	if t == nil {
		return nil
	}
	out := make([]naming.Subscriber, 0, len(t.subscribers))
	for c, s := range t.subscribers {
		out = append(out, subscriber(c, k, s))
	}
	return out
}

// Subscriptions implements naming.Source.
func (a *API) Subscriptions(clientID string) ([]naming.Subscriber, bool) {
	for _, c := range a.server.Conns() {
		if c.ID() != clientID || !isNaming(c) {
			continue
		}
		p := a.pusher
		p.mu.Lock()
		defer p.mu.Unlock()
		out := make([]naming.Subscriber, 0, len(p.byConn[c]))
		for _, t := range p.byConn[c] {
			out = append(out, subscriber(c, t.key, t.subscribers[c]))
		}
		return out, true
	}
	return nil, false
}

// Clients implements naming.Source.
func (a *API) Clients() []string {
	var out []string
	for _, c := range a.server.Conns() {
		if isNaming(c) {
			out = append(out, c.ID())
		}
	}
	return out
}

// Count implements naming.Source.
func (a *API) Count() int {
	p := a.pusher
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func subscriber(c *stream.Conn, k registry.ServiceKey, s subscription) naming.Subscriber {
	out := naming.Subscriber{Service: k, ClientID: c.ID(), IP: c.Remote(), Port: c.Port(), App: s.app, Clusters: s.clusters}
	if set := c.Setup(); set != nil {
		out.IP, out.Agent = set.ClientIP, set.Version
	}
	return out
}
