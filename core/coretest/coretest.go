// Package coretest starts real nodes for tests, each on a directory of its own
// that goes with the test.
//
// A node owns its goroutines until the end of the test. Start reading at Start.
package coretest

import (
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/easynet-cn/batata/core"
)

// Start returns a node that is ready. It does not wait for the disk, which no
// test can tell, and hashes passwords at the least cost; change may undo that, and set whatever else a test needs. A
// data directory that change sets is kept, so that a second node can be started
// on it after the first is closed.
func Start(tb testing.TB, change ...func(*core.Config)) *core.Node {
	tb.Helper()
	c := core.Config{Durability: core.OS, Auth: core.Auth{PasswordCost: bcrypt.MinCost}}
	for _, f := range change {
		f(&c)
	}
	if c.DataDir == "" {
		c.DataDir = tb.TempDir()
	}
	n, err := core.Start(tb.Context(), c)
	if err != nil {
		tb.Fatalf("core.Start() = %v", err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return n
}
