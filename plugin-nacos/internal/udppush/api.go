package udppush

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// The bounds of what subscribers make this package keep.
const (
	maxClients       = 10_000
	maxEach          = 10_000 // services of one client
	maxSubscriptions = 50_000
	maxViews         = 64   // ways to see one service
	maxText          = 1024 // of application and clusters
)

// Settings are what an API stands on.
type Settings struct {
	Naming  *naming.Service
	Logger  *zap.Logger
	Metrics prometheus.Registerer
	// Synced says whether the registry holds everything it can know (CTR-R09).
	Synced func(context.Context) (bool, error)

	Delay  time.Duration // of a push after a change; 0: adaptive (ENG-11)
	WarmUp time.Duration // after the start, at least (FLT-04)

	AckWithin time.Duration // 0: 10 s (NAC-UDP-06)
	Lifetime  time.Duration // of a client that asks for no list; 0: 30 s (NAC-UDP-01)
}

const (
	ackWithin = 10 * time.Second
	lifetime  = 30 * time.Second
)

// API knows the clients and what they were sent.
type API struct {
	settings  Settings
	pusher    *fanout.Pusher[*client, *packet]
	places    places
	meters    *meters
	reference atomic.Int64 // of the newest packet

	outbox []outgoing // of Run alone

	mu      sync.Mutex // guards the rest; never taken under the lock of pusher
	socket  net.PacketConn
	clients map[netip.AddrPort]*client
	sent    map[receipt]*sent
}

// client is somebody who takes packets.
type client struct {
	address netip.AddrPort
	id      string
	room    int // bytes of a packet that it reads

	// Guarded by API.mu.
	seen   time.Time                     // its last list call
	newest map[registry.ServiceKey]*sent // not acknowledged
}

// receipt is what an acknowledgement says (NAC-UDP-05).
type receipt struct {
	from netip.AddrPort // canonical
	ref  int64
}

// sent is a packet that is not acknowledged.
type sent struct {
	receipt
	client  *client
	service registry.ServiceKey
	version uint64
	at      time.Time
	late    bool // it is being made again
	last    bool // it was made again
}

// outgoing is a packet to be sent.
type outgoing struct {
	to      *client
	service *registry.ServiceKey
	packet  *packet
}

// New builds an API; legal before the Run of the service only.
func New(s Settings) (*API, error) {
	if s.AckWithin == 0 {
		s.AckWithin = ackWithin
	}
	if s.Lifetime == 0 {
		s.Lifetime = lifetime
	}
	a := &API{settings: s, clients: map[netip.AddrPort]*client{}, sent: map[receipt]*sent{}}
	a.reference.Store(rand.Int64N(maxReference))
	a.pusher = fanout.New(fanout.Settings[*client, *packet]{
		Naming: s.Naming, Synced: s.Synced, Delay: s.Delay, WarmUp: s.WarmUp, Encode: a.encode,
		Push: func(c *client, k *registry.ServiceKey, p *packet) {
			a.outbox = append(a.outbox, outgoing{c, k, p})
		},
		Flush:   a.flush,
		MaxEach: maxEach, MaxTotal: maxSubscriptions, MaxViews: maxViews,
	})
	var err error
	if a.meters, err = newMeters(s.Metrics, a.pusher.Count); err != nil {
		return nil, err
	}
	s.Naming.Source(a)
	return a, nil
}

// Run makes the pushes that are due, until ctx ends.
func (a *API) Run(ctx context.Context) error { return a.pusher.Run(ctx) }

// Request is a list call of a client that wants to be pushed. Its texts may belong
// to the call, but for those of Service.
type Request struct {
	Service  registry.ServiceKey
	Clusters string
	App      string
	Agent    string
	Peer     string // where the call came from
	Proxied  bool   // a proxy sent it
	IP       string // where the client says it is; blank: where the call came from
	Port     int
}

// Subscribe notes or renews a subscription, unless the caller may have none: it
// will poll then.
func (a *API) Subscribe(r Request) {
	if r.Port <= 0 || r.Port > 65535 {
		return
	}
	room := roomOf(r.Agent)
	address, ok := a.address(&r)
	switch {
	case room == 0:
		a.meters.refused.WithLabelValues("agent").Inc()
	case !ok:
		a.meters.refused.WithLabelValues("address").Inc()
	case len(r.App)+len(r.Clusters) > maxText || !a.enter(&r, address, room):
		a.meters.refused.WithLabelValues("full").Inc()
	}
}

// address is where the packets go.
func (a *API) address(r *Request) (netip.AddrPort, bool) {
	peer, err := netip.ParseAddr(r.Peer)
	if err != nil {
		return netip.AddrPort{}, false
	}
	peer = peer.Unmap()
	claimed := peer
	if r.IP != "" {
		if claimed, err = netip.ParseAddr(r.IP); err != nil {
			return netip.AddrPort{}, false
		}
		claimed = claimed.Unmap()
	}
	if !a.places.allows(peer, claimed, r.Proxied) {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(claimed, uint16(r.Port)), true
}

// enter is false when a bound is reached, or nothing is served.
func (a *API) enter(r *Request, address netip.AddrPort, room int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.socket == nil {
		return false
	}
	c, known := a.clients[address]
	if !known {
		if len(a.clients) >= maxClients {
			return false
		}
		c = &client{
			address: address, id: naming.Address(address.Addr().String(), address.Port()).ID, room: room,
			newest: map[registry.ServiceKey]*sent{},
		}
	}
	_, err := a.pusher.Add(c, r.Service, fanout.Subscription{
		Clusters: strings.Clone(r.Clusters), App: strings.Clone(r.App), Agent: strings.Clone(r.Agent),
	})
	if err == nil {
		a.clients[address] = c
	}
	if known || err == nil {
		c.seen = time.Now()
	}
	return err == nil
}

// Shown notes what somebody who subscribes was answered.
func (a *API) Shown(k registry.ServiceKey, snap *registry.Snapshot) { a.pusher.Shown(k, snap) }
