package core_test

import (
	"testing"

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

func registryBackend(t *testing.T, dir string) registrytest.Backend {
	t.Helper()
	n := coretest.Start(t, func(c *core.Config) { c.DataDir = dir })
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
		Restart: func(t *testing.T) registrytest.Backend {
			t.Helper()
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			return registryBackend(t, dir)
		},
	}
}
