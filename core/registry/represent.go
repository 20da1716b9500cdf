package registry

import (
	"cmp"
	"net/netip"
	"strings"
)

// EffectiveWeight is the weight every view starts from.
func (e *Endpoint) EffectiveWeight() float64 {
	if e.Health == Warning && e.Rare != nil && e.Rare.Warn != nil {
		return *e.Rare.Warn
	}
	return e.Weight
}

// Routable says whether new work may be sent to an endpoint.
func (e *Endpoint) Routable() bool {
	return e.Health <= Warning && !e.draining() && e.EffectiveWeight() > 0
}

func (e *Endpoint) draining() bool { return e.Rare != nil && e.Rare.Drain }

// transit says that an outside tool copied the record in.
func (e *Endpoint) transit() bool { return e.Rare != nil && e.Rare.Transit }

// Better says whether a rather than b represents an endpoint that both are
// records of, in the view of a neutral reader (BRG-DUP-03): an operator's drain
// is never undone by a second registration, then health decides, then weight,
// then the name of the owner. A copy that a tool brought in never represents an
// original (BRG-DUP-10). Records that nothing tells apart are represented by the
// first in the order of the snapshot.
func Better(a, b *Endpoint) bool {
	return cmp.Or(
		cmp.Compare(b.class(), a.class()),
		cmp.Compare(b.EffectiveWeight(), a.EffectiveWeight()),
		strings.Compare(a.Publisher.Key.Owner, b.Publisher.Key.Owner),
	) < 0
}

func (e *Endpoint) class() int {
	switch routable := e.Routable(); {
	case e.transit():
		return -1
	case e.Health == Maintenance:
		return 4
	case routable && e.Health != Warning:
		return 3
	case routable:
		return 2
	case e.draining():
		return 1
	}
	return 0
}

// Address folds the spellings of one host, an address or a name, into one
// (BRG-DUP-01).
func Address(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
