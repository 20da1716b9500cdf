package core

import (
	"context"
	"errors"

	"github.com/easynet-cn/batata/core/internal/distro"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/registry"
)

// replicas reaches the registries of the other members.
type replicas struct{ node *Node }

var _ distro.Transport = replicas{}

// Members implements distro.Transport.
func (r replicas) Members() []distro.Member {
	infos := r.node.group.Members()
	out := make([]distro.Member, len(infos))
	for i := range infos {
		m := &infos[i]
		out[i] = distro.Member{ID: m.ID, Condition: distro.Suspect}
		switch {
		case m.Standing == roster.Leaving || m.Health.State == peer.Leaving:
			out[i].Condition = distro.Leaving
		case m.Self || m.Health.State == peer.Up:
			out[i].Condition = distro.Up
		case m.Health.State == peer.Down:
			out[i].Condition = distro.Down
		}
	}
	return out
}

// Call implements distro.Transport. Each method has its own room for calls, so
// that writes do not hold up what members tell each other.
func (r replicas) Call(ctx context.Context, to uint64, method string, body []byte) ([]byte, error) {
	return r.node.group.Call(ctx, to, method, method, body)
}

// replicate makes the ephemeral part of the registry the same on all members, and
// waits until this one has read what there is. A node that is alone has nobody to
// ask or to tell.
func (n *Node) replicate(ctx context.Context, c *Config) error {
	if n.group == nil {
		n.registry.Sync()
		return nil
	}
	n.distro = distro.New(distro.Options{
		Member: n.identity.Member(), Epoch: n.identity.Identity().Starts, Catalog: n.registry, Transport: replicas{n},
		KeepFor: c.Registry.StaleAfter, Logger: c.Logger.Named("distro"), Meters: c.Metrics,
	})
	for _, method := range []string{distro.MethodState, distro.MethodWrite} {
		n.calls.Handle(method, method, func(ctx context.Context, from uint64, body []byte) ([]byte, error) {
			return n.distro.Handle(ctx, from, method, body)
		})
	}
	n.distro.Start()
	return n.distro.WaitSynced(ctx)
}

// Retire ends telling the other members what clients of this one do. Call it
// before the clients are cut off: what they have registered is then served until
// they are back elsewhere (ARC-A07).
func (n *Node) Retire() {
	if n.distro != nil {
		n.distro.Leave()
	}
}

// ephemeral is the registry as one owner writes it.
func (n *Node) ephemeral(owner string) registry.Ephemeral {
	if n.distro == nil {
		return n.registry.Ephemeral(owner)
	}
	return n.distro.Ephemeral(owner)
}

// errUnread reports a node that does not know yet what the others have.
var errUnread = errors.New("services of the other members are being read")
