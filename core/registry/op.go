package registry

import "errors"

// ErrEphemeral refuses an Op on an ephemeral publisher: those are not part of a
// batch (CTR-T04).
var ErrEphemeral = errors.New("publisher is ephemeral")

// Op is one persistent change; exactly one field is set. Ops are committed
// through package txn. What an op removes and is not there is no error.
type Op struct {
	PutInstance   *Registration
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
// from nothing.
type OverridePut struct {
	Override
	Clear bool
}
