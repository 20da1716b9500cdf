// Package registry is the contract of the service registry: one catalog of
// services, whatever protocol registered their instances.
//
// A service is a key; it exists while it has settings, an instance, or for a
// minute after the last one left. An instance belongs to a publisher, which is
// the unit of ownership and of life (CTR-D03): a client connection, a node, a
// synchronised cluster. Instances of an ephemeral publisher live in the memory of
// the member that owns it; those of a persistent one are rows, written through
// package txn.
//
// Invariants that the implementation keeps (the suite is registry/registrytest):
//
//   - a Snapshot and everything it points to is immutable and shared;
//   - the endpoints of a snapshot are sorted by origin, subset, host, port,
//     publisher and id, so equal content is equal order;
//   - Version of a service grows with every change of it, on one member;
//   - who received a Change sees at least its snapshot in every call.
//
// Start reading at Snapshot, then Catalog for reading, Ephemeral and Op for
// writing. Select, Protected and Better are pure functions beside the types.
package registry

import (
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/memo"
)

// ServiceKey names a service in every view.
type ServiceKey struct{ Namespace, Group, Name string }

// Status is what is known about the health of a publisher or an instance,
// ordered: the worse the larger. Zero is no status.
type Status uint8

const (
	// Passing takes work; also that of an instance nobody checks.
	Passing Status = iota + 1
	// Warning takes work, perhaps with another weight.
	Warning
	// Critical takes none.
	Critical
	// Maintenance is derived only: an endpoint that is not Enabled (CTR-M04).
	Maintenance
)

// Locality says where an instance runs.
type Locality struct{ Region, Zone, Subzone string }

// PublisherKey says who published: a plugin and a scope which that plugin chose.
type PublisherKey struct{ Owner, Scope string }

// Publisher is the unit of ownership and of life. A publisher that was never
// written is legal: passing, without info.
type Publisher struct {
	Key       PublisherKey
	Info      *PublisherInfo // nil: nothing beyond the key
	Member    uint64         // ephemeral: the member that owns it
	Modified  kv.Revision    // persistent: of its own row, 0 without one
	Status    Status         // worst-of with each of its instances
	Ephemeral bool
	Stale     bool // its origin or owning member has not been heard of
	Free      bool // ephemeral: it has no connection, core chose Member (filled by core)
}

// PublisherInfo is what most publishers lack.
type PublisherInfo struct {
	Origin   string // datacenter; empty: this one
	Addr     string
	Locality *Locality
	Labels   Pairs
	Ext      []byte     // the owner's
	Lease    kv.LeaseID // persistent: it and its instances end with the lease
	Out      bool       // out of rotation: its instances read as not Enabled
}

// NamedPort is one of several ports of an instance.
type NamedPort struct {
	Name string
	Port uint16
}

// Instance is immutable and shared by every snapshot that lists it. In a
// snapshot an operator's override is already applied; Published shows it raw.
type Instance struct {
	ID        string // unique in (publisher, service, subset); empty: host:port
	Subset    string // the word of a protocol that groups instances inside a service
	Host      string // as given: IP text or host name
	Weight    float64
	Publisher *Publisher
	Meta      Meta  // equal sets share one text
	Rare      *Rare // nil: none of it
	Port      uint16
	Status    Status // its own, without the publisher's
	Enabled   bool
}

// Rare holds what most instances lack.
type Rare struct {
	Tags     []string
	Locality *Locality // nil: the publisher's
	Ports    []NamedPort
	Addrs    Pairs // named alternative addresses
	Ext      []Ext // one per plugin, sorted by owner
	Expiry   Expiry
	Warn     *float64 // weight while Warning; nil: Weight
	Drain    bool     // leaving, still serving open work
	Transit  bool     // copied in by an outside tool: never exported (set by core)
	// Of its row; every persistent instance has them.
	Created, Modified kv.Revision
}

// Modified is when a persistent instance was last written; 0 for an ephemeral one.
func (in *Instance) Modified() kv.Revision {
	if in.Rare == nil {
		return 0
	}
	return in.Rare.Modified
}

// Endpoint is an instance as a snapshot shows it.
type Endpoint struct {
	*Instance
	// Health is the worst of the instance and its publisher; Maintenance when it
	// is not Enabled.
	Health Status
	// Duplicate says that another record represents this endpoint (CTR-M02,
	// BRG-DUP-03).
	Duplicate bool
}

// Snapshot is one service at one moment.
type Snapshot struct {
	Key       ServiceKey
	Service   *Service // settings; nil when nobody wrote any
	Endpoints []Endpoint
	// Version is milliseconds since 2020-01-01, forced to grow with every change
	// of this member; not comparable between members (CTR-R02). More than a thousand
	// changes a second that are seen let it run ahead of the clock: clients that
	// order by time are told Moment.
	Version  uint64
	Moment   Moment
	Revision kv.Revision // last replicated change, deletes included
	Mixed    bool        // has or had ephemeral instances since start
	Gone     bool        // has neither settings nor instances any more
	Memo     memo.Cache
}

// Check says how instances of a subset are probed.
type Check struct {
	Kind string // a kind of package health; "none" or empty: not at all
	Port uint16 // 0: the instance's
	Spec []byte // the checker's own settings, JSON
}

// Subset is settings of one subset of a service.
type Subset struct {
	Name  string
	Check *Check
	Meta  Pairs
}

// Service is what somebody set for a service; it is persistent.
type Service struct {
	Key      ServiceKey
	Protect  float64 // share of healthy instances below which all are returned
	Selector string  // opaque to core
	Meta     Pairs
	Subsets  []Subset // sorted by name
	Ext      []Ext    // sorted by owner
	Created  int64    // Unix ms
	Modified kv.Revision
}

// Override is what an operator laid over an instance. It survives
// re-registration, may precede its instance, and is dropped a minute after the
// instance last existed (CTR-M07).
type Override struct {
	Service      ServiceKey
	Subset, Host string
	Port         uint16
	Weight       *float64
	Enabled      *bool
	Meta         Pairs // laid over the instance's key by key, when HasMeta
	HasMeta      bool
}
