package configraft

import (
	"crypto/md5"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// rig is a Store over a real store, and what writes its rows.
type rig struct {
	*Store
	under *store.Store
	index uint64
}

func newRig(tb testing.TB, cache int64) *rig {
	tb.Helper()
	under, err := store.Open(store.Options{Dir: tb.TempDir(), InitialMmapSize: 1 << 20, RingEvents: 1, NoSync: true})
	if err != nil {
		tb.Fatalf("Open() = %v", err)
	}
	tb.Cleanup(func() { _ = under.Close() })
	r := &rig{Store: New(under, cache, zap.NewNop()), under: under}
	r.apply(tb, fsm.Command{Declare: &fsm.Declare{Owner: Owner, Tables: Tables()}})
	if err := under.Observe(r.Store); err != nil {
		tb.Fatalf("Observe() = %v", err)
	}
	return r
}

// apply applies commands as one entry.
func (r *rig) apply(tb testing.TB, commands ...fsm.Command) {
	tb.Helper()
	data := fsm.AppendHeader(nil)
	for i := range commands {
		data = fsm.AppendCommand(data, &commands[i])
	}
	r.index++
	outs, err := r.under.Apply([]store.Committed{{Index: r.index, Term: 1, Data: data}})
	for _, o := range outs {
		if err == nil {
			err = o.Err
		}
	}
	if err != nil {
		tb.Fatalf("Apply() = %v", err)
	}
}

func name(i int) configstore.Key {
	return configstore.Key{Namespace: "public", Group: "DEFAULT_GROUP", Name: fmt.Sprintf("config-%08d", i)}
}

func (r *rig) head(k configstore.Key, h *configstore.Head) kv.Op {
	return kv.Op{
		Kind: kv.Put, Key: ItemKey(fsm.AppendKey(nil, r.IDs().Head, nil), k),
		Value: AppendHead(nil, h), StampValue: StampAt,
	}
}

// publish is the transaction of a formal publish.
func (r *rig) publish(k configstore.Key, content string) fsm.Command {
	e := configstore.Entry{Key: k, Kind: configstore.KindUpdate, Digest: md5.Sum([]byte(content)), Size: int32(len(content))}
	if row, _ := r.catalog.find(ItemKey(nil, k)); row != nil {
		e.Previous, _, _ = header(row.Value)
	}
	key := VersionKey(fsm.AppendKey(nil, r.IDs().Version, nil), k, 0)
	return fsm.Command{Txn: &fsm.Txn{Then: []kv.Op{
		{Kind: kv.Put, Key: key, Value: AppendVersion(nil, &e, "", nil, []byte(content)), StampKey: int32(len(key)-StampSize) + 1},
		r.head(k, &configstore.Head{
			Digest: e.Digest, Size: e.Size, Formal: true, Type: "text", Source: "127.0.0.1",
			Created: 1_790_000_000_000, Modified: 1_790_000_000_000, Ext: []registry.Ext{{Owner: "nacos", Data: []byte{}}},
		}),
	}}}
}

// variant adds a variant to what a publish writes.
func (r *rig) variant(c fsm.Command, k configstore.Key, v *configstore.Variant) fsm.Command {
	c.Txn.Then = append(c.Txn.Then, kv.Op{
		Kind: kv.Put, Key: VariantKey(fsm.AppendKey(nil, r.IDs().Variant, nil), k, v.Name), Value: AppendVariant(nil, v),
	})
	return c
}
