package core

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/cluster"
)

// clusterView is the cluster as a group of one sees it.
type clusterView struct{ node *Node }

var _ cluster.Cluster = clusterView{}

// Self implements cluster.Cluster.
func (v clusterView) Self(context.Context) (*cluster.Member, error) {
	id := v.node.identity.ID
	return &cluster.Member{ID: id, Name: fmt.Sprintf("%016x", id), State: "up", Voter: true}, nil
}

// Members implements cluster.Cluster.
func (v clusterView) Members(ctx context.Context) ([]*cluster.Member, error) {
	self, err := v.Self(ctx)
	return []*cluster.Member{self}, err
}

// State implements cluster.Cluster.
func (v clusterView) State(context.Context) (cluster.State, error) {
	s := v.node.raft.Status()
	applied, _ := v.node.store.Applied()
	return cluster.State{
		Leader: s.Leader, Term: s.Term, Commit: s.Commit,
		Applied: applied, Persisted: v.node.store.Persisted(), Revision: uint64(v.node.store.Root().Revision()),
		Ready: s.Ready, ReadOnly: s.ReadOnly, Starts: v.node.identity.Starts,
	}, nil
}
