package core

import (
	"testing"

	"github.com/easynet-cn/batata/core/configstore/configstoretest"
	"github.com/easynet-cn/batata/core/txn"
)

// CTR-V04 on the raft backend.
func TestConfigs(t *testing.T) {
	configstoretest.Run(t, func(t *testing.T) configstoretest.Backend {
		t.Helper()
		dir := t.TempDir()
		return configBackend(t, start(t, dir), dir)
	})
}

func configBackend(t *testing.T, n *Node, dir string) configstoretest.Backend {
	t.Helper()
	owners := map[string]txn.Committer{}
	for _, name := range []string{"one", "two"} {
		c, err := n.Attach(t.Context(), name, nil)
		if err != nil {
			t.Fatalf("Attach(%s) = %v", name, err)
		}
		owners[name] = c.Txn()
	}
	return configstoretest.Backend{
		Configs: n.Configs(),
		Txn:     func(owner string) txn.Committer { return owners[owner] },
		Restart: func(t *testing.T) configstoretest.Backend {
			t.Helper()
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			return configBackend(t, start(t, dir), dir)
		},
	}
}
