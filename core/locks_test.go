package core_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/lock"
	"github.com/easynet-cn/batata/core/lock/locktest"
)

// STY-64: a whole node keeps the contract of package lock, in a bubble of time.
func TestLocks(t *testing.T) {
	locktest.Run(t, func(t *testing.T, test func(*testing.T, locktest.Backend)) {
		t.Helper()
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) { test(t, lockBackend(t, dir)) })
	})
}

func lockBackend(t *testing.T, dir string) locktest.Backend {
	t.Helper()
	n := coretest.Start(t, func(c *core.Config) { c.DataDir = dir })
	owners := map[string]lock.Locks{"one": n.Locks()}
	c, err := n.Attach(t.Context(), "two", nil)
	if err != nil {
		t.Fatalf("Attach() = %v", err)
	}
	owners["two"] = c.Locks()
	return locktest.Backend{
		Locks: func(owner string) lock.Locks { return owners[owner] },
		Pass: func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		},
		// A lease that is granted before the first scan of a leader gets its time
		// anew with it, and each scan ends a bounded number.
		Late: time.Second,
		Restart: func(t *testing.T) locktest.Backend {
			t.Helper()
			if err := n.Close(); err != nil {
				t.Fatalf("Close() = %v", err)
			}
			return lockBackend(t, dir)
		},
	}
}
