package namingrpc

import (
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

var _ naming.Source = (*API)(nil)

// Subscribers implements naming.Source.
func (a *API) Subscribers(k registry.ServiceKey) (out []naming.Subscriber) {
	a.pusher.Each(k, func(c *stream.Conn, s fanout.Subscription) { out = append(out, subscriber(c, k, s)) })
	return out
}

// Subscriptions implements naming.Source.
func (a *API) Subscriptions(clientID string) ([]naming.Subscriber, bool) {
	for _, c := range a.server.Conns() {
		if c.ID() != clientID || !isNaming(c) {
			continue
		}
		out := []naming.Subscriber{}
		a.pusher.Of(c, func(k registry.ServiceKey, s fanout.Subscription) { out = append(out, subscriber(c, k, s)) })
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
func (a *API) Count() int { return a.pusher.Count() }

func subscriber(c *stream.Conn, k registry.ServiceKey, s fanout.Subscription) naming.Subscriber {
	out := naming.Subscriber{Service: k, ClientID: c.ID(), IP: c.Remote(), Port: c.Port(), App: s.App, Clusters: s.Clusters}
	if set := c.Setup(); set != nil {
		out.IP, out.Agent = set.ClientIP, set.Version
	}
	return out
}
