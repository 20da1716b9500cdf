package registry

import "errors"

// ErrEphemeral refuses an Op on an ephemeral publisher: those are not part of a
// batch (CTR-T04).
var ErrEphemeral = errors.New("publisher is ephemeral")

// Op is one persistent change; exactly one field is set. Ops are committed
// through package txn. What an op removes and is not there is no error. A key of
// another plugin is refused with kv.ErrForeign, one of an ephemeral publisher
// with ErrEphemeral.
type Op struct {
	// PutInstance writes all of an instance. It ends with the lease of its
	// publisher; Expiry is for ephemeral ones and not kept.
	PutInstance *Registration
	// DropInstance with an empty ID means all of the publisher's in the service,
	// and in the subset if one is named.
	DropInstance  *InstanceKey
	SetStatus     *StatusChange
	PutPublisher  *Publisher
	DropPublisher *PublisherKey // with everything it published
	PutService    *ServicePut
	DropService   *ServiceKey // the settings alone
	PutOverride   *OverridePut
}

// StatusChange is a new status of a persistent instance; an unknown instance is
// no error.
type StatusChange struct {
	Instance InstanceKey
	Status   Status
}

// ServicePut writes the settings of a service. The Ext of other plugins and the
// time of creation are kept.
type ServicePut struct {
	Service Service
	Ext     []byte // the writer's own; nil: kept
	New     bool   // refuse with kv.ErrConflict when settings exist
}

// OverridePut changes an override; fields that are nil are kept, Clear begins
// from nothing and drops it when it says nothing else. Enabled counts for the
// instance whoever owns it; Weight and Meta count for instances of the plugin
// that wrote them, and are refused with kv.ErrForeign where only others have one
// (CTR-M07).
type OverridePut struct {
	Override
	Clear bool
}
