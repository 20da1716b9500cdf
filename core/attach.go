package core

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/group"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
	"github.com/easynet-cn/batata/core/namespace"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// attached is core as one plugin sees it.
type attached struct {
	node      *Node
	owner     string
	store     *scope.Scope
	txn       txn.Committer
	ephemeral registry.Ephemeral
	locks     lock.Locks
}

var (
	_ plugin.Core      = (*attached)(nil)
	_ inproc.Reachable = (*attached)(nil)
)

// Attach declares the tables of a plugin and returns the contracts as it sees
// them: its own tables, and writes that carry its name. The names core and
// embedder are taken.
func (n *Node) Attach(ctx context.Context, owner string, tables []kv.TableSpec) (plugin.Core, error) {
	if owner == ownerCore || owner == ownerEmbedder || owner == "" {
		return nil, fmt.Errorf("attach %q: the name is taken", owner)
	}
	s, err := scope.Open(ctx, owner, tables, n.raft, n.store)
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", owner, err)
	}
	return &attached{
		node: n, owner: owner, store: s, txn: n.committer(owner, s), locks: n.locks.For(owner), ephemeral: n.ephemeral(owner),
	}, nil
}

func (a *attached) KV() kv.Store                     { return a.store }
func (a *attached) Leases() kv.Leases                { return a.node.Leases() }
func (a *attached) Locks() lock.Locks                { return a.locks }
func (a *attached) Txn() txn.Committer               { return a.txn }
func (a *attached) Configs() configstore.Configs     { return a.node.Configs() }
func (a *attached) Registry() registry.Catalog       { return a.node.Registry() }
func (a *attached) Ephemeral() registry.Ephemeral    { return a.ephemeral }
func (a *attached) Auth() auth.Auth                  { return a.node.Auth() }
func (a *attached) Directory() auth.Directory        { return a.node.Directory() }
func (a *attached) Namespaces() namespace.Namespaces { return a.node.Namespaces() }
func (a *attached) Cluster() cluster.Cluster         { return clusterView{node: a.node, service: a.owner} }

// HandlePeer implements inproc.Reachable.
func (a *attached) HandlePeer(method string, handle plugin.PeerHandler) {
	a.node.calls.Handle(a.owner, method, group.Handler(handle))
}

// ForgetPeers implements inproc.Reachable.
func (a *attached) ForgetPeers() { a.node.calls.Forget(a.owner) }
