package compile_test

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/txn"
)

// What single config ops do is tested by configstoretest; here is what batches
// come to.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func attached(t *testing.T) (*core.Node, plugin.Core) {
	t.Helper()
	n := coretest.Start(t)
	c, err := n.Attach(t.Context(), "one", []kv.TableSpec{{Name: "t", Residency: kv.Hot}})
	if err != nil {
		t.Fatal(err)
	}
	return n, c
}

func item(name string) configstore.Key {
	return configstore.Key{Namespace: "ns", Group: "g" + name[:1], Name: name}
}

func publish(name, content string) configstore.Op {
	return configstore.Op{Publish: &configstore.Publish{Key: item(name), Content: []byte(content)}}
}

func row(key string) kv.Op { return kv.Op{Kind: kv.Put, Table: "t", Key: []byte(key)} }

// CTR-T03: rows and configs change together or not at all, and a refusal says
// in the caller's own indices who refused.
func TestTogether(t *testing.T) {
	_, c := attached(t)
	absent := kv.Compare{Table: "t", Key: []byte("a"), Target: kv.Modified, Rel: kv.Equal}
	res, err := c.Txn().Commit(t.Context(), txn.Batch{
		KV:      kv.Txn{If: []kv.Compare{absent}, Then: []kv.Op{row("a")}},
		Configs: []configstore.Op{publish("x", "1"), publish("y", "1")},
		Actor:   auth.Actor{Subject: "alice"},
	})
	if err != nil || !res.Committed || len(res.Configs) != 2 || !res.Configs[1].Created ||
		res.Configs[0].Version.Revision() != res.Revision || res.Configs[0].Version == res.Configs[1].Version {
		t.Fatalf("Commit() = %+v, %v", res, err)
	}
	if h, err := c.Configs().Get(t.Context(), item("x"), nil); err != nil || h.Head.Creator != "alice" || h.Head.Version != res.Configs[0].Version {
		t.Errorf("Get(x) = %+v, %v, want what was committed", h, err)
	}

	counter := kv.Op{Kind: kv.Add, Table: "t", Key: []byte("n"), Delta: 2, Max: 1}
	for name, tt := range map[string]struct {
		batch  txn.Batch
		failed []int
	}{
		"compare": {txn.Batch{
			KV: kv.Txn{If: []kv.Compare{absent}, Then: []kv.Op{row("b")}}, Configs: []configstore.Op{publish("new", "2")},
		}, []int{0}},
		"counter": {txn.Batch{
			KV: kv.Txn{Then: []kv.Op{row("b"), counter}}, Configs: []configstore.Op{publish("new", "2")},
		}, []int{1}},
	} {
		res, err := c.Txn().Commit(t.Context(), tt.batch)
		if err != nil || res.Committed || len(res.Blocked) != 0 || fmt.Sprint(res.Failed) != fmt.Sprint(tt.failed) {
			t.Errorf("Commit(%s) = %+v, %v, want failed %v", name, res, err, tt.failed)
		}
	}
	res, err = c.Txn().Commit(t.Context(), txn.Batch{
		KV:      kv.Txn{Then: []kv.Op{row("b")}},
		Configs: []configstore.Op{publish("new", "2"), {Publish: &configstore.Publish{Key: item("x"), If: configstore.Guard{Absent: true}}}},
	})
	var guard *configstore.GuardError
	if err != nil || res.Committed || len(res.Blocked) != 1 || res.Blocked[0].Op != 1 || !errors.As(res.Blocked[0].Cause, &guard) {
		t.Errorf("Commit(guard) = %+v, %v, want op 1 blocked", res, err)
	}
	if _, err := c.Configs().Get(t.Context(), item("new"), nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(new) = %v, want %v: a refused batch left an item", err, kv.ErrNotFound)
	}
	if _, err := c.KV().Get(t.Context(), "t", []byte("b")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(b) = %v, want %v: a refused batch left a row", err, kv.ErrNotFound)
	}
}

func TestRefused(t *testing.T) {
	_, c := attached(t)
	many := make([]configstore.Op, kv.MaxOps)
	for i := range many {
		many[i] = publish(fmt.Sprint("x", i), "")
	}
	for name, tt := range map[string]struct {
		batch txn.Batch
		want  error
	}{
		"too many ops":   {txn.Batch{Configs: many, KV: kv.Txn{Then: []kv.Op{row("a")}}}, kv.ErrTooLarge},
		"empty op":       {txn.Batch{Configs: []configstore.Op{{}}}, nil},
		"nobody's table": {txn.Batch{Configs: many[:1], KV: kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "x", Key: []byte("k")}}}}, nil},
		"large content":  {txn.Batch{Configs: []configstore.Op{publish("x", string(make([]byte, configstore.MaxContent+1)))}}, kv.ErrTooLarge},
	} {
		if res, err := c.Txn().Commit(t.Context(), tt.batch); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("Commit(%s) = %+v, %v, want %v", name, res, err, tt.want)
		}
	}
}

// Whatever is published and removed, alone or in one batch: what a scope is
// said to hold is what it holds, and an item has its last content.
func TestAccounts(t *testing.T) {
	n, c := attached(t)
	names := []string{"a1", "a2", "b1", "b2"}
	want := map[string]string{} // formal content
	variants := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		var ops []configstore.Op
		for range rapid.IntRange(1, 5).Draw(rt, "ops") {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			variant := rapid.SampledFrom([]string{"", "", "beta"}).Draw(rt, "variant")
			content := rapid.StringN(0, 3, 3).Draw(rt, "content")
			if rapid.Bool().Draw(rt, "remove") {
				ops = append(ops, configstore.Op{Remove: &configstore.Remove{Key: item(name), Variant: variant}})
				delete(variants, name)
				if variant == "" {
					delete(want, name)
				}
				continue
			}
			o := publish(name, content)
			if o.Publish.Variant = variant; variant == "" {
				want[name] = content
			} else {
				variants[name] = true
			}
			ops = append(ops, o)
		}
		res, err := c.Txn().Commit(t.Context(), txn.Batch{Configs: ops})
		if err != nil || !res.Committed {
			rt.Fatalf("Commit() = %+v, %v", res, err)
		}
		items := map[string]int64{}
		for _, name := range names {
			formal, ok := want[name]
			if ok || variants[name] {
				items[""]++
				items[item(name).Group]++
			}
			got, err := c.Configs().Get(t.Context(), item(name), nil)
			if ok != (err == nil) || ok && string(got.Content) != formal {
				rt.Fatalf("Get(%s) = %+v, %v, want %q, %v", name, got, err, formal, ok)
			}
		}
		for _, group := range []string{"", "ga", "gb"} {
			u, err := c.Configs().Usage(t.Context(), configstore.Scope{Namespace: "ns", Group: group})
			if err != nil || u.Items != items[group] {
				rt.Fatalf("after %d ops Usage(%q) = %+v, %v, want %d items", len(ops), group, u, err, items[group])
			}
		}
		if got := n.ConfigCounts()["ns"]; got != items[""] {
			rt.Fatalf("ConfigCounts() = %d, want %d", got, items[""])
		}
	})
}
