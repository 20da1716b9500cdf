// Package namespace is the contract of tenants. A namespace is a label with a
// description: configs and services do not require it to exist, and dropping it
// drops only the label.
package namespace

import (
	"context"
	"errors"

	"github.com/easynet-cn/batata/core/auth"
)

// ErrExists reports a new namespace whose id is taken.
var ErrExists = errors.New("namespace exists")

// Namespace describes one tenant.
type Namespace struct {
	ID, Name, Desc string
	Kind           string
	Created        int64 // Unix ms, filled by core
}

// Op is one change: Put or Drop.
type Op struct {
	Put  *Namespace
	Drop string
	New  bool // with Put: ErrExists when it is there
}

// Namespaces keeps the labels.
type Namespaces interface {
	// Get returns kv.ErrNotFound when nobody has described id.
	Get(ctx context.Context, id string) (*Namespace, error)
	// List returns up to limit namespaces in order of their id, after from.
	List(ctx context.Context, from string, limit int) ([]*Namespace, error)
	Apply(ctx context.Context, by auth.Actor, ops []Op) error
}
