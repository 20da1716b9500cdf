package raftnode

import (
	"context"
	"errors"

	"go.etcd.io/raft/v3/raftpb"
)

// Transport reaches the other members.
type Transport interface {
	// Send takes messages and never waits: what cannot be sent is dropped and
	// told through Node.Unreachable. For a MsgSnap it opens the state with
	// Node.OpenSnapshot, sends both, and tells through Node.SnapshotSent.
	// Messages are shared and must not be changed.
	Send(ms []*raftpb.Message)
	// Propose hands commands to the member that leads. An error means that the
	// answer is not known; ErrUnsent, that they were not handed over.
	Propose(ctx context.Context, to uint64, b *Batch) (Verdict, error)
}

// ErrUnsent reports a call that has not left this member.
var ErrUnsent = errors.New("member cannot be reached")

// Batch is encoded commands that one member hands to the leader of a term. The
// leader takes each batch once, however often it comes (ARC-R07).
type Batch struct {
	Term     uint64
	Origin   uint64 // random, of one start of the sender
	Seq      uint64 // grows with each batch of the origin
	Low      uint64 // batches below it will not come again
	Commands [][]byte
}

// Refusal says why a leader did not take commands.
type Refusal uint8

const (
	// Taken is no refusal.
	Taken Refusal = iota
	// NotLeader says that the member does not lead in that term, or is about to stop.
	NotLeader
	// Overloaded says that it has too much to do.
	Overloaded
	// ReadOnly says that its disk is full.
	ReadOnly
)

// Verdict is what became of a batch: its first commands were taken, the others
// refused.
type Verdict struct {
	Taken  int
	Reason Refusal
}

// nobody is the transport of a group of one.
type nobody struct{}

var _ Transport = nobody{}

// Send implements Transport.
func (nobody) Send([]*raftpb.Message) {}

// Propose implements Transport.
func (nobody) Propose(context.Context, uint64, *Batch) (Verdict, error) {
	return Verdict{}, ErrUnsent
}
