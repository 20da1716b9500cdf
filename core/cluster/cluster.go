// Package cluster is the contract of membership: who the members are, who
// leads, how far this member has come.
package cluster

import (
	"context"
	"errors"
	"time"
)

// ErrUnreachable reports a call that has not reached its handler.
var ErrUnreachable = errors.New("member cannot be reached")

// HandlerError is what a handler on another member returned.
type HandlerError struct{ Text string }

// Error implements error.
func (e *HandlerError) Error() string { return e.Text }

// Member is one node of the cluster.
type Member struct {
	ID    uint64
	Name  string
	Addrs map[string]string // listener name → host:port
	State string            // "up", "suspect", "down", "leaving"
	Voter bool
}

// State is this member's own view; it is local and costs nothing.
type State struct {
	Leader          uint64 // 0: unknown
	Term            uint64
	Applied, Commit uint64 // log indices
	Persisted       uint64 // log index that state.db holds
	Revision        uint64
	LastContact     time.Duration // since a leader was heard; 0 on the leader
	ReadOnly        bool
	Ready           bool   // a leader is known and the log has been replayed
	Starts          uint64 // process starts of this member on this data
}

// Cluster tells about the members.
type Cluster interface {
	Self(ctx context.Context) (*Member, error)
	Members(ctx context.Context) ([]*Member, error)
	State(ctx context.Context) (State, error)
}
