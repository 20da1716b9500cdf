package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/registry/registrytest"
	"github.com/easynet-cn/batata/core/txn"
)

// CTR-V03 on a node.
func TestServices(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registrytest.Backend {
		t.Helper()
		return registryBackend(t, t.TempDir())
	})
}

// CTR-V03, CTR-R06: on one member of three nobody sees a difference, whoever owns
// what is written.
func TestServicesOfACluster(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registrytest.Backend {
		t.Helper()
		return clusterBackend(t, coretest.StartCluster(t, 3, func(_ int, c *core.Config) {
			c.Peer.Ping = time.Second // a busy machine is no reason to give publishers to others
		}))
	})
}

func clusterBackend(t *testing.T, c *coretest.Cluster) registrytest.Backend {
	t.Helper()
	coretest.Eventually(t, "all members know each other", func() error {
		for i := range 3 {
			if got := c.Metric(t, i, "batata_distro_members"); got != 3 {
				return fmt.Errorf("node %d knows of %v", i, got)
			}
		}
		return nil
	})
	b := backendOf(t, c.Node(0))
	b.Unordered = true
	b.Restart = func(t *testing.T) registrytest.Backend {
		t.Helper()
		for i := range 3 {
			c.Stop(i)
		}
		c.Start(0, 1, 2)
		return clusterBackend(t, c)
	}
	return b
}

func registryBackend(t *testing.T, dir string) registrytest.Backend {
	t.Helper()
	n := coretest.Start(t, func(c *core.Config) { c.DataDir = dir })
	b := backendOf(t, n)
	b.Restart = func(t *testing.T) registrytest.Backend {
		t.Helper()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		return registryBackend(t, dir)
	}
	return b
}

func backendOf(t *testing.T, n *core.Node) registrytest.Backend {
	t.Helper()
	plugins := map[string]plugin.Core{}
	for _, name := range []string{"one", "two"} {
		c, err := n.Attach(t.Context(), name, nil)
		if err != nil {
			t.Fatalf("Attach(%s) = %v", name, err)
		}
		plugins[name] = c
	}
	return registrytest.Backend{
		Catalog:   n.Registry(),
		Ephemeral: func(owner string) registry.Ephemeral { return plugins[owner].Ephemeral() },
		Txn:       func(owner string) txn.Committer { return plugins[owner].Txn() },
	}
}
