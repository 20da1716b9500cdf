package coretest_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStart(t *testing.T) {
	dir := t.TempDir()
	var first *core.Node
	on := func(c *core.Config) {
		c.DataDir, c.Tables = dir, []kv.TableSpec{{Name: "t", Residency: kv.Hot}}
	}
	t.Run("first", func(t *testing.T) {
		first = coretest.Start(t, on)
		_, err := first.KV().Commit(t.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "t", Key: []byte("k"), Value: []byte("v")}}})
		if err != nil {
			t.Fatalf("Commit() = %v", err)
		}
	})
	if _, err := first.KV().Commit(t.Context(), kv.Txn{}); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Commit() after the test of the node = %v, want %v", err, kv.ErrClosed)
	}
	again := coretest.Start(t, on)
	if r, err := again.KV().Get(t.Context(), "t", []byte("k")); err != nil || string(r.Value) != "v" {
		t.Errorf("Get() = %v, %v, want v", r, err)
	}
	other := coretest.Start(t)
	if err := other.Ready(t.Context()); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}
