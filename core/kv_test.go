package core

import (
	"testing"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/kvtest"
)

// STY-64: a whole node keeps the contract of package kv, log and leases
// included.
func TestKV(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) (kv.Store, kv.Leases) {
		t.Helper()
		n := startWith(t, Config{DataDir: t.TempDir(), Tables: kvtest.Tables(), Durability: OS})
		return n.KV(), n.Leases()
	})
}
