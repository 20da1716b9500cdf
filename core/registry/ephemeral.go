package registry

import (
	"context"
	"time"
)

// Expiry bounds the silence of an instance that is kept alive by beats: how long
// until it is Critical, and until it is removed. Zero values: it is not. A
// registration is a sign of life too. Times are kept to a tenth of a second, never
// shorter, and stand still while the process does (REL-09).
type Expiry struct{ Unhealthy, Remove time.Duration }

// Registration is an instance on its way in.
type Registration struct {
	Service   ServiceKey
	Publisher PublisherKey // Owner is filled by the host
	ID        string       // empty: host:port
	Subset    string
	Host      string
	Port      uint16
	Weight    float64
	Warn      *float64 // nil: Weight
	Status    Status
	Enabled   bool
	Drain     bool
	Locality  Locality // zero: the publisher's
	Tags      []string
	Meta      Pairs
	Ports     []NamedPort
	Addrs     Pairs
	Expiry    Expiry
	Ext       []byte // the writer's own; others' are kept
}

// Beat says that an instance lives. Its publisher is ephemeral.
type Beat struct {
	Instance InstanceKey
	// Status, when not zero, is what the instance is from now on; one that had
	// become Critical for its silence is Passing again in any case.
	Status Status
}

// Mode says what a Publish means for what the publisher already has.
type Mode uint8

const (
	// Merge upserts each registration.
	Merge Mode = iota + 1
	// ReplaceService says that the list is all this publisher has in the services named.
	ReplaceService
)

// Ephemeral keeps instances that live with their publisher, in memory. A call
// that returns nil is visible in the catalog of this member.
type Ephemeral interface {
	// Open makes a publisher, or changes its Info and Status; what it published
	// stays. Member 0 lets core choose the owner by hash (clients without a
	// connection). Ephemeral, Owner and Modified are filled by core.
	Open(ctx context.Context, p Publisher) error
	// Publish puts instances of a publisher that is open, else kv.ErrNotFound.
	// Identical content is no change. Services that ReplaceService should empty
	// are named by the keys of Withdraw, not here.
	Publish(ctx context.Context, p PublisherKey, mode Mode, rs []Registration) error
	// Withdraw removes instances. A key with an empty ID means all of that
	// publisher's in the service, and in the subset if one is named. What is not
	// there is no error.
	Withdraw(ctx context.Context, p PublisherKey, ks []InstanceKey) error
	// Beat refreshes instances and returns the indices of unknown ones. A
	// publisher whose last instance was removed for its silence is closed with it.
	Beat(ctx context.Context, bs []Beat) (unknown []int, err error)
	// Close ends publishers with all they published.
	Close(ctx context.Context, ps []PublisherKey) error
	// Publishers lists the open ones of this plugin by scope, after from.
	Publishers(ctx context.Context, from string, limit int) ([]*Publisher, error)
}
