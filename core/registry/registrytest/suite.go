// Package registrytest is the suite that every implementation of the service
// registry passes (CTR-V03).
//
// Start reading at Run; most of what is proven is in the model test: random
// operations of all kinds by two plugins, after which every way to read says what
// a plain map says.
package registrytest

import (
	"testing"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// Backend is one implementation under test as two plugins, one and two, see it.
// Restart, when not nil, stops and starts it on the same data.
type Backend struct {
	Catalog   registry.Catalog
	Ephemeral func(owner string) registry.Ephemeral
	Txn       func(owner string) txn.Committer
	Restart   func(t *testing.T) Backend
	// Unordered says that services changed by one call may be delivered in any
	// order: it was made on another member.
	Unordered bool
}

// Run runs the suite; open returns a fresh backend for each test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"Model":     modelled,
		"Foreign":   foreign,
		"Unchanged": unchanged,
		"Shared":    shared,
		"Streams":   streams,
		"Pages":     pages,
		"Limits":    limits,
		"Restart":   restart,
		"Readers":   readers,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	one = "one"
	two = "two"
)
