package group

import (
	"context"
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/roster"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// inner is what members reach. Raft is attached.
type inner struct{ *Group }

var _ peer.Group = inner{}

// Standing implements peer.Group.
func (i inner) Standing(id uint64) peer.Standing {
	switch e := i.roster.View().Find(id); {
	case e != nil && e.Standing == roster.Removed:
		return peer.Removed
	case e != nil:
		return peer.Member
	}
	if _, ok := (*i.seeds.Load())[id]; ok {
		return peer.Member
	}
	return peer.Unknown
}

// Step implements peer.Group.
func (i inner) Step(ctx context.Context, m *raftpb.Message) error { return i.raft.Load().Step(ctx, m) }

// ReceiveSnapshot implements peer.Group.
func (i inner) ReceiveSnapshot(ctx context.Context, m *raftpb.Message, r io.Reader) error {
	return i.raft.Load().ReceiveSnapshot(ctx, m, r)
}

// Accept implements peer.Group.
func (i inner) Accept(ctx context.Context, b *raftnode.Batch) (raftnode.Verdict, error) {
	return i.raft.Load().Accept(ctx, b)
}

// Call implements peer.Group.
func (i inner) Call(ctx context.Context, from uint64, service, method string, body []byte) ([]byte, error) {
	return i.o.Calls.Run(ctx, from, service, method, body)
}

// Pinged implements peer.Group.
func (i inner) Pinged(uint64, *peerv1.PingRequest) *peerv1.PingReply {
	applied, _ := i.o.Store.Applied()
	return &peerv1.PingReply{Applied: applied, Leaving: i.pool.IsLeaving()}
}
