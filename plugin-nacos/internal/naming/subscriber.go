package naming

import (
	"cmp"
	"slices"

	"github.com/easynet-cn/batata/core/registry"
)

// Subscriber is somebody who wants to be pushed a service.
type Subscriber struct {
	Service  registry.ServiceKey
	ClientID string // as client lists show it
	IP       string
	Port     int
	Agent    string // name and version of the client
	App      string
	Clusters string // as the client sent it
}

// Address is ip:port.
func (s *Subscriber) Address() string { return addressOf(s.IP, uint16(s.Port)) }

// Source is a transport that knows subscribers.
type Source interface {
	// Subscribers lists those of one service.
	Subscribers(k registry.ServiceKey) []Subscriber
	// Subscriptions lists those of one client, and says whether it is a client of
	// this source.
	Subscriptions(clientID string) ([]Subscriber, bool)
	// Clients lists the ids of all clients.
	Clients() []string
	// Count is the number of subscriptions.
	Count() int
}

// Source adds a transport; legal before Run only.
func (s *Service) Source(src Source) { s.sources = append(s.sources, src) }

// Subscribers lists those of one service over all transports of this member,
// sorted by address.
func (s *Service) Subscribers(k registry.ServiceKey) []Subscriber {
	out := make([]Subscriber, 0, 8)
	for _, src := range s.sources {
		out = append(out, src.Subscribers(k)...)
	}
	slices.SortFunc(out, func(a, b Subscriber) int {
		return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Port, b.Port), cmp.Compare(a.ClientID, b.ClientID))
	})
	return out
}

// SubscriptionCount is the number of subscriptions over all transports.
func (s *Service) SubscriptionCount() int {
	n := 0
	for _, src := range s.sources {
		n += src.Count()
	}
	return n
}
