package configstoretest

import (
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/txn"
)

func publishReadRemove(t *testing.T, b Backend) {
	t.Helper()
	if _, err := b.Configs.Get(t.Context(), key("a"), nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get() of nothing = %v, want kv.ErrNotFound", err)
	}
	for i, content := range []string{"one", "two", "", "\x00\xff", strings.Repeat("x", 1<<20)} {
		out := publish(t, b, "a", content)
		if !out.Changed || out.Created != (i == 0) || out.Version == 0 {
			t.Errorf("outcome %d = %+v, want a version, created only at first", i, out)
		}
		item := wantContent(t, b, "a", nil, content)
		if item.Head.Digest != md5.Sum([]byte(content)) || item.Head.Size != int32(len(content)) || item.Head.Version != out.Version {
			t.Errorf("head = %+v, want digest, size and version of what was published", item.Head)
		}
	}
	h := head(t, b, "a")
	if h.Creator != "alice" || h.Source != "10.0.0.1" || h.Created == 0 || h.Modified < h.Created || h.Type != "text" {
		t.Errorf("head = %+v, want who, where, when and type", h)
	}
	if out := remove(t, b, configstore.Remove{Key: key("a")}); !out.Changed {
		t.Errorf("Remove() = %+v, want a change", out)
	}
	if h := head(t, b, "a"); h != nil {
		t.Errorf("Heads() after Remove = %+v, want nil", h)
	}
	if out := remove(t, b, configstore.Remove{Key: key("a")}); out.Changed {
		t.Errorf("Remove() of nothing = %+v, want no change", out)
	}
	if out := publish(t, b, "a", "back"); !out.Created {
		t.Errorf("Publish() after Remove = %+v, want created", out)
	}
}

// CTR-C04: identical content is no change, unless Kind asks for a version.
func noChange(t *testing.T, b Backend) {
	t.Helper()
	publish(t, b, "a", "one")
	before := head(t, b, "a")
	if out := publish(t, b, "a", "one"); out.Changed || out.Version != 0 {
		t.Errorf("same Publish() = %+v, want no change", out)
	}
	if after := head(t, b, "a"); after.Revision != before.Revision || after.Modified != before.Modified {
		t.Errorf("head moved from %d to %d", before.Revision, after.Revision)
	}
	out, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte("one"), Type: "text", Kind: "rollback"})
	if err != nil || !out.Changed {
		t.Errorf("Publish() with Kind = %+v, %v, want a version", out, err)
	}
	if out, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte("one"), Type: "yaml"}); err != nil || !out.Changed {
		t.Errorf("Publish() with another type = %+v, %v, want a change", out, err)
	}
}

func guards(t *testing.T, b Backend) {
	t.Helper()
	digest := func(s string) *configstore.Digest { d := configstore.Digest(md5.Sum([]byte(s))); return &d }
	pub := func(content string, g configstore.Guard) error {
		_, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte(content), If: g})
		return err
	}
	var refused *configstore.GuardError
	if err := pub("x", configstore.Guard{Digest: digest("one")}); !errors.As(err, &refused) || refused.Revision != 0 {
		t.Errorf("digest guard on nothing = %v, want *GuardError for an absent item", err)
	}
	if err := pub("one", configstore.Guard{Absent: true}); err != nil {
		t.Fatalf("absent guard on nothing = %v", err)
	}
	if err := pub("x", configstore.Guard{Absent: true}); !errors.As(err, &refused) || refused.Digest != *digest("one") {
		t.Errorf("absent guard on an item = %v, want *GuardError with its digest", err)
	}
	if err := pub("two", configstore.Guard{Digest: digest("one")}); err != nil {
		t.Fatalf("digest guard that holds = %v", err)
	}
	if err := pub("x", configstore.Guard{Digest: digest("one")}); !errors.As(err, &refused) {
		t.Errorf("digest guard on another content = %v, want *GuardError", err)
	}
	rev := head(t, b, "a").Revision
	if err := pub("three", configstore.Guard{Revision: rev}); err != nil {
		t.Fatalf("revision guard that holds = %v", err)
	}
	if err := pub("x", configstore.Guard{Revision: rev}); !errors.As(err, &refused) {
		t.Errorf("revision guard on a later head = %v, want *GuardError", err)
	}
	wantContent(t, b, "a", nil, "three")
}

// CTR-M24: versions newest first, each pointing to the one before; a delete
// holds no bytes.
func history(t *testing.T, b Backend) {
	t.Helper()
	var versions []kv.Stamp
	for _, c := range []string{"one", "two", "three"} {
		versions = append(versions, publish(t, b, "a", c).Version)
	}
	publish(t, b, "b", "other")
	remove(t, b, configstore.Remove{Key: key("a")})
	es, err := b.Configs.History(t.Context(), configstore.HistoryQuery{Key: key("a")})
	if err != nil || len(es) != 4 {
		t.Fatalf("History() = %d entries, %v, want 4", len(es), err)
	}
	kinds := []string{configstore.KindDelete, configstore.KindUpdate, configstore.KindUpdate, configstore.KindCreate}
	for i, e := range es {
		if e.Kind != kinds[i] || e.Actor != "alice" || e.Source != "10.0.0.1" || e.Key != key("a") {
			t.Errorf("entry %d = %+v, want kind %s by alice", i, e, kinds[i])
		}
		if i < 3 && e.Previous != es[i+1].Version {
			t.Errorf("entry %d points to %d, want %d", i, e.Previous, es[i+1].Version)
		}
	}
	for i, c := range []string{"one", "two", "three"} {
		item, err := b.Configs.At(t.Context(), key("a"), versions[i])
		if err != nil || string(item.Content) != c {
			t.Errorf("At(%d) = %v, %v, want %q", versions[i], item, err, c)
		}
	}
	if es, err = b.Configs.History(t.Context(), configstore.HistoryQuery{Key: key("a"), Before: versions[2], Limit: 1}); err != nil || len(es) != 1 || es[0].Version != versions[1] {
		t.Errorf("History() before the third = %+v, %v, want the second", es, err)
	}
	es, err = b.Configs.History(t.Context(), configstore.HistoryQuery{Key: configstore.Key{Namespace: "ns"}, Deleted: true})
	if err != nil || len(es) != 1 || es[0].Key != key("a") {
		t.Errorf("History() of deleted items = %+v, %v, want that of a", es, err)
	}
}

func rule(priority int32, label, value string) *configstore.Rule {
	return &configstore.Rule{
		Type: "t", Version: "1", Expr: label + "=" + value, Priority: priority,
		Any: []configstore.Clause{{Label: label, Values: []string{value}}},
	}
}

func labels(pairs ...string) configstore.Pairs {
	var out configstore.Pairs
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, configstore.Pairs{{Key: pairs[i], Value: pairs[i+1]}}...)
	}
	return out
}

// CTR-M20, CTR-M22: variants by rule and priority; the head covers them.
func variants(t *testing.T, b Backend) {
	t.Helper()
	put := func(name, content string, r *configstore.Rule) {
		t.Helper()
		if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Variant: name, Rule: r, Content: []byte(content)}); err != nil {
			t.Fatalf("Publish(%s) = %v", name, err)
		}
	}
	put("only", "v", rule(5, "ip", "1"))
	if _, err := b.Configs.Get(t.Context(), key("a"), nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get() without formal content = %v, want kv.ErrNotFound", err)
	}
	wantContent(t, b, "a", labels("ip", "1"), "v")
	publish(t, b, "a", "formal")
	before := head(t, b, "a").Revision
	put("high", "h", rule(9, "ip", "1"))
	if after := head(t, b, "a"); after.Revision <= before || after.Digest != md5.Sum([]byte("formal")) {
		t.Errorf("head at %d, want above %d and the formal digest", after.Revision, before)
	}
	wantContent(t, b, "a", labels("ip", "1"), "h")
	wantContent(t, b, "a", labels("ip", "2"), "formal")
	put("high", "h2", nil) // nil keeps the rule
	wantContent(t, b, "a", labels("ip", "1"), "h2")
	remove(t, b, configstore.Remove{Key: key("a"), Variant: "high"})
	wantContent(t, b, "a", labels("ip", "1"), "v")
	remove(t, b, configstore.Remove{Key: key("a")})
	if h := head(t, b, "a"); h != nil {
		t.Errorf("head after the removal of the item = %+v, want its variants gone too", h)
	}
	es, err := b.Configs.History(t.Context(), configstore.HistoryQuery{Key: key("a")})
	ended := 0
	for _, e := range es {
		if e.Kind == configstore.KindDelete {
			ended++
		}
	}
	if err != nil || ended != 3 {
		t.Errorf("History() holds %d ends, %v, want one for each variant and the formal content", ended, err)
	}
}

// Several ops of one batch on one item see each other, and all happen or none.
func sameBatch(t *testing.T, b Backend) {
	t.Helper()
	ops := []configstore.Op{
		{Publish: &configstore.Publish{Key: key("a"), Content: []byte("one")}},
		{Publish: &configstore.Publish{Key: key("a"), Content: []byte("two")}},
		{Publish: &configstore.Publish{Key: key("a"), Variant: "v", Rule: rule(1, "ip", "1"), Content: []byte("var")}},
		{Publish: &configstore.Publish{Key: key("b"), Content: []byte("three"), If: configstore.Guard{Absent: true}}},
	}
	res, err := b.Txn(owner).Commit(t.Context(), txn.Batch{Configs: ops, Actor: alice})
	if err != nil || !res.Committed || len(res.Configs) != 4 || !res.Configs[0].Created || res.Configs[1].Created {
		t.Fatalf("Commit() = %+v, %v, want four outcomes, the first a creation", res, err)
	}
	wantContent(t, b, "a", nil, "two")
	wantContent(t, b, "a", labels("ip", "1"), "var")
	revision := head(t, b, "a").Revision
	res, err = b.Txn(owner).Commit(t.Context(), txn.Batch{Configs: []configstore.Op{
		{Publish: &configstore.Publish{Key: key("a"), Content: []byte("lost")}}, ops[3],
	}, Actor: alice})
	if err != nil || res.Committed || len(res.Blocked) != 1 || res.Blocked[0].Op != 1 {
		t.Errorf("Commit() with a guard that fails = %+v, %v, want op 1 blocked", res, err)
	}
	if h := head(t, b, "a"); h.Revision != revision {
		t.Error("a blocked batch changed an item")
	}
}

// CTR-M23: a read-only projection is its owner's.
func foreign(t *testing.T, b Backend) {
	t.Helper()
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte("x"), Owned: true, ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := try(b, other, &configstore.Publish{Key: key("a"), Content: []byte("y")}); !errors.Is(err, kv.ErrForeign) {
		t.Errorf("Publish() by another plugin = %v, want kv.ErrForeign", err)
	}
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte("z"), Owned: true, ReadOnly: true, Ext: []byte("mine")}); err != nil {
		t.Errorf("Publish() by the owner = %v", err)
	}
	if _, err := try(b, owner, &configstore.Publish{Key: key("b"), Content: []byte("x"), Ext: []byte("one")}); err != nil {
		t.Fatal(err)
	}
	if _, err := try(b, other, &configstore.Publish{Key: key("b"), Content: []byte("y"), Ext: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if ext := head(t, b, "b").Ext; len(ext) != 2 || string(ext[0].Data) != "one" || string(ext[1].Data) != "two" {
		t.Errorf("Ext = %v, want that of both writers", ext)
	}
}

func meta(t *testing.T, b Backend) {
	t.Helper()
	publish(t, b, "a", "one")
	desc := "what it is"
	op := configstore.Op{Meta: &configstore.MetaChange{Key: key("a"), Desc: &desc, Tags: []string{"x"}, SetTags: true}}
	if _, err := txn.Publish(t.Context(), b.Txn(owner), alice, op); err != nil {
		t.Fatal(err)
	}
	h := head(t, b, "a")
	if h.Desc != desc || len(h.Tags) != 1 {
		t.Errorf("head = %+v, want description and tags", h)
	}
	es, err := b.Configs.History(t.Context(), configstore.HistoryQuery{Key: key("a")})
	if err != nil || len(es) != 1 {
		t.Errorf("History() = %d, %v, want no version of a change beside the content", len(es), err)
	}
	wantContent(t, b, "a", nil, "one")
}

func limits(t *testing.T, b Backend) {
	t.Helper()
	big := make([]byte, configstore.MaxContent+1)
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: big}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Publish() of %d bytes = %v, want kv.ErrTooLarge", len(big), err)
	}
	if h := head(t, b, "a"); h != nil {
		t.Errorf("head = %+v, want nothing stored", h)
	}
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: big[:9<<20]}); err != nil {
		t.Errorf("Publish() of 9 MiB = %v", err)
	}
	var ops []configstore.Op
	for i := range kv.MaxOps + 1 {
		ops = append(ops, configstore.Op{Publish: &configstore.Publish{Key: key(fmt.Sprint(i)), Content: []byte("x")}})
	}
	if _, err := b.Txn(owner).Commit(t.Context(), txn.Batch{Configs: ops}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Commit() of %d ops = %v, want kv.ErrTooLarge", len(ops), err)
	}
}
