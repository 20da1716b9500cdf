// Package cluster is the contract of membership: who the members are, who
// leads, how far this member has come, and how a plugin reaches its own kind on
// the others.
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

// The states of a member, as this one sees it.
const (
	Up      = "up"
	Suspect = "suspect" // has not answered of late
	Down    = "down"    // has not answered for several seconds, or refuses
	Leaving = "leaving" // is about to stop, or to be removed
)

// Member is one node of the cluster.
type Member struct {
	ID    uint64
	Slot  uint8 // 1 to 255, of no other present member (BRG-IDX-04)
	Name  string
	Addrs map[string]string // listener name → host:port; "peer" is that of members
	State string
	Voter bool
	// Breaker of calls to it: "closed", "half-open" or "open" (ARC-R13).
	Breaker  string
	Fails    int       // pings in a row that were not answered
	Heard    time.Time // last answer; zero on this member itself
	Meta     map[string]string
	Features []string
	Version  string
}

// State is this member's own view; it is local and costs nothing.
type State struct {
	Cluster         uint64 // id of the cluster
	Leader          uint64 // 0: unknown
	Term            uint64
	Applied, Commit uint64 // log indices
	Persisted       uint64 // log index that state.db holds
	Revision        uint64
	LastContact     time.Duration // since a leader was heard; 0 on the leader
	ReadOnly        bool
	Ready           bool   // a leader is known and the log has been replayed
	Leads           bool   // this member leads and holds all that was acknowledged
	Starts          uint64 // process starts of this member on this data
}

// Cluster tells about the members and reaches them.
type Cluster interface {
	Self(ctx context.Context) (*Member, error)
	Members(ctx context.Context) ([]*Member, error)
	State(ctx context.Context) (State, error)
	// Watch delivers the members now, and each time something about them has
	// changed.
	Watch(ctx context.Context) (Stream, error)
	// Call reaches the handler that the same plugin has registered on a member:
	// exactly one attempt (CTR-L01). ErrUnreachable: it has not run.
	// kv.ErrUncertain: it may have. *HandlerError: what it returned.
	// kv.ErrNotFound: there is none, as on a member of an older version.
	Call(ctx context.Context, to Target, method string, body []byte) ([]byte, error)
	// Gather calls all members at once, this one included, and returns what has
	// come when ctx ends.
	Gather(ctx context.Context, method string, body []byte) ([]Answer, error)
}

// Target is whom a call is for.
type Target struct {
	Member uint64
}

// Answer is what one member answered.
type Answer struct {
	Member uint64
	Body   []byte
	Err    error
}

// Stream is pulled by one goroutine. A slow reader misses what was overtaken.
type Stream interface {
	Next(ctx context.Context) ([]*Member, error)
	Close() error
}

// Admin changes the cluster, for endpoints of operators.
type Admin interface {
	// Transfer makes another voter lead; 0: the one that has come furthest.
	Transfer(ctx context.Context, to uint64) error
	// Add lets the member at a peer address join: it has started, and waits for
	// a group.
	Add(ctx context.Context, address string) error
	// Remove takes a member out for good.
	Remove(ctx context.Context, id uint64) error
	// Leave takes out this member.
	Leave(ctx context.Context) error
	// Backup opens the replicated state of one moment: all that was acknowledged
	// before the call. Writes go on meanwhile. One is open on a member at a time;
	// close it.
	Backup(ctx context.Context) (Chunks, error)
}

// Chunks are pulled by one goroutine.
type Chunks interface {
	// Next returns more, valid until the next call; io.EOF ends.
	Next(ctx context.Context) ([]byte, error)
	Close() error
}
