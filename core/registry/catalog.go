package registry

import "context"

// Limits of the registry (CTR-R11). Beyond them calls return kv.ErrTooLarge, and
// kv.ErrOverloaded for those of a whole member.
const (
	MaxName    = 1 << 10  // bytes of a namespace, group, name, subset, host, id or scope
	MaxPairs   = 64       // pairs of metadata, named ports, alternative addresses, tags
	MaxMeta    = 64 << 10 // bytes of all metadata of one record
	MaxExt     = 64 << 10 // bytes of one plugin's Ext
	MaxPublish = 10_000   // registrations of one Publish, and instances of one publisher
	MaxClose   = 256      // publishers of one Close

	MaxInstances = 1_000_000 // of one member, and as many publishers
	// LargeService is where a service is told of in the log; it still grows.
	LargeService = 10_000
)

// Query names services. Group and Name are patterns: exact, *, a*, *a, *a*;
// empty is like *. An empty Namespace is every namespace.
type Query struct {
	Namespace string
	Group     string
	Name      string
	Owner     string     // only services with an instance of this plugin
	From      ServiceKey // inclusive resume point, in the order of keys
	Limit     int        // 0: 1,000; at most kv.MaxPage
}

// Page is one answer to Scan.
type Page struct {
	Snapshots []*Snapshot
	Next      *ServiceKey // From of the next page; nil: complete
	Version   uint64      // resume point for Watch: nothing after it is missing here
}

// Catalog reads the registry: what is persistent and what is ephemeral, merged.
// Services that are Gone are not listed and not found.
type Catalog interface {
	// Service returns kv.ErrNotFound for a service that does not exist. It costs
	// one lookup and no allocation once the snapshot has been built (CTR-F02).
	Service(ctx context.Context, k ServiceKey) (*Snapshot, error)
	Scan(ctx context.Context, q Query) (Page, error)
	// Names lists keys in order; it touches no snapshot.
	Names(ctx context.Context, q Query) ([]ServiceKey, error)
	// Published returns what one publisher has, as it registered it;
	// kv.ErrNotFound when it has neither a record of its own nor an instance.
	Published(ctx context.Context, p PublisherKey) (*Publication, error)
	// Watch delivers changes after a version; 0 delivers everything first.
	// From and Limit of the query are ignored. kv.ErrCompacted reports that a
	// service which went after that version is no longer remembered: list again.
	Watch(ctx context.Context, q Query, after uint64) (Stream, error)
	Stats(ctx context.Context) (Stats, error)
}

// Publication is one publisher with its instances, in no particular order.
type Publication struct {
	Publisher *Publisher
	Instances []Placed
}

// Placed is an instance and the service it is in.
type Placed struct {
	Service  ServiceKey
	Instance *Instance
}

// Stats are counts over the whole catalog.
type Stats struct {
	Version                      uint64
	Services, Instances, Healthy int
	// Synced says that the replica and all peers have been read once since the
	// start. Who acts on absence waits for it (CTR-R09).
	Synced bool
}

// Change is a service that changed, in its newest state.
type Change struct {
	Snapshot *Snapshot
	Appeared bool // was not there, or Gone, when it was last delivered on this stream
}

// Stream is level-triggered: a slow reader merges changes and is not cut. Only
// when 100,000 services went that it has not heard of does Next return
// kv.ErrCompacted: watch again, from 0.
type Stream interface {
	// Next returns changed services, each at most once, the oldest change first.
	// A service that stops matching a query, or is Gone, is delivered once more.
	Next(ctx context.Context) ([]Change, error)
	Close() error
}

// InstanceKey names one instance of one publisher.
type InstanceKey struct {
	Publisher  PublisherKey // Owner is filled by the host
	Service    ServiceKey
	Subset, ID string // ID empty is not host:port here: give the id or host:port
}
