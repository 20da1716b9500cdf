package udppush

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// places knows the addresses of this machine.
type places struct {
	mu     sync.Mutex // guards the rest
	own    map[netip.Addr]struct{}
	looked time.Time
}

// lookAgain is how long the addresses of the interfaces are taken for true.
const lookAgain = 10 * time.Second

// here says whether an address is one of this machine.
func (p *places) here(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.own == nil || now.Sub(p.looked) > lookAgain {
		p.looked, p.own = now, map[netip.Addr]struct{}{}
		addrs, _ := net.InterfaceAddrs() // none known: clients of this machine poll
		for _, x := range addrs {
			if prefix, err := netip.ParsePrefix(x.String()); err == nil {
				p.own[prefix.Addr().Unmap()] = struct{}{}
			}
		}
	}
	_, own := p.own[a.WithZone("")]
	return own
}

// allows says whether a caller at peer may have packets sent to an address: its
// own, or another one of this machine when it sits here itself.
func (p *places) allows(peer, claimed netip.Addr, proxied bool) bool {
	if proxied {
		return false // the peer is not who asks
	}
	return peer == claimed || p.here(peer) && p.here(claimed)
}

// canonical is an address as acknowledgements are told apart by: those of this
// machine are one, since a packet to one of them may be answered from another.
func (p *places) canonical(a netip.AddrPort) netip.AddrPort {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if p.here(a.Addr()) {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())
	}
	return a
}
