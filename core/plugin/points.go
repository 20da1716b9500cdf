package plugin

import (
	"context"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
)

// Points is how the personalities of one member reach each other: a provider
// offers a point, contributors take keys of it, data in, data out (ARC-P14,
// CTR-E01..E06). Nothing else lets one plugin reach another.
type Points interface {
	// Extend hands over a contributor's handler; legal inside New only.
	Extend(point string, handle func(ctx context.Context, c Call) (Reply, error))
	// Events is the contributor's stream of the provider's connections;
	// kv.ErrNotFound when nobody offers the point.
	Events(ctx context.Context, point string) (Events, error)
	// Keys lists what contributors take of a point that this plugin offers.
	Keys(ctx context.Context, point string) ([]string, error)
	// Call reaches the contributor that takes c.Key: kv.ErrNotFound when nobody
	// does; exactly one attempt.
	Call(ctx context.Context, point string, c Call) (Reply, error)
	// Emit tells contributors about connections; it never waits for them.
	Emit(ctx context.Context, point string, es []Event) error
}

// Caller is who asked the provider, as the provider authenticated it.
type Caller struct {
	Identity *auth.Identity // nil: anonymous
	Addr     string
	Conn     string // the provider's connection id; empty: connectionless
	Labels   registry.Pairs
}

// Call is one request that a provider passes on; Body is at most 12 MiB.
type Call struct {
	Key    string
	Caller Caller
	Body   []byte
}

// Reply is its answer; Key names its form where the protocol needs that.
type Reply struct {
	Key  string
	Body []byte
}

// Event says that a connection of the provider opened or closed.
type Event struct {
	Conn   string
	Open   bool
	Addr   string
	Labels registry.Pairs
}

// Events is level-triggered: the first Next delivers all that is open, later
// ones the newest state of each connection that changed.
type Events interface {
	Next(ctx context.Context) ([]Event, error)
	Close() error
}
