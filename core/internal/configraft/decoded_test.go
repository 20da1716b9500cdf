package configraft

import (
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Everybody who reads an item gets the same head, until it changes; what is not
// read stays a row.
func TestHeadIsDecodedByItsFirstReader(t *testing.T) {
	r := newRig(t, 1<<20)
	read, other := name(1), name(2)
	r.apply(t, r.publish(read, "a"), r.publish(other, "b"))
	if n := r.decoded(); n != 0 {
		t.Fatalf("%d heads are decoded before anybody reads, want 0", n)
	}
	first := r.Head(read)
	if first == nil || first.Key != read || first.Size != 1 || first.Revision == 0 || first != r.Head(read) {
		t.Fatalf("Head() = %+v, then %p", first, r.Head(read))
	}
	r.apply(t, r.publish(read, "aa"), r.publish(other, "bb"))
	if n := r.decoded(); n != 1 {
		t.Errorf("%d heads are decoded after a change of two, want that of the one that is read", n)
	}
	if h := r.Head(read); h.Size != 2 || h.Revision <= first.Revision {
		t.Errorf("Head() after a change = %+v, want that of the change", h)
	}
	r.apply(t, fsm.Command{Txn: &fsm.Txn{Then: []kv.Op{{Kind: kv.Delete, Key: r.head(read, &configstore.Head{}).Key}}}})
	if h := r.Head(read); h != nil || r.decoded() != 0 {
		t.Errorf("Head() after a delete = %+v, %d decoded, want none", h, r.decoded())
	}
}

// decoded counts the heads that are kept.
func (r *rig) decoded() (n int) {
	for i := range r.catalog.shards {
		n += len(r.catalog.shards[i].heads)
	}
	return n
}

// Who reads everything does not fill the memory (STY-52).
func TestDecodedHeadsAreBounded(t *testing.T) {
	c := newCatalog()
	const n = 2 * shards * maxDecoded
	for i := range n {
		row := &kv.Record{Key: ItemKey(nil, name(i)), Modified: 1}
		c.put(row, nil)
		if h := (&configstore.Head{}); c.keep(row, h) != h {
			t.Fatal("keep() = another head, want the first")
		}
	}
	kept := 0
	for i := range c.shards {
		kept += len(c.shards[i].heads)
	}
	if kept == 0 || kept > shards*maxDecoded {
		t.Errorf("%d heads are kept, want at most %d", kept, shards*maxDecoded)
	}
	// A head of a row that is gone is not kept.
	old := &kv.Record{Key: ItemKey(nil, name(0)), Modified: 0}
	c.keep(old, &configstore.Head{})
	if row, h := c.find(old.Key); row == old || h != nil && h.Revision != 0 {
		t.Errorf("find() = %+v, %+v, want the present row", row, h)
	}
	for i := range c.shards {
		if _, ok := c.shards[i].heads[old]; ok {
			t.Error("keep() of a row that is gone keeps its head")
		}
	}
}

// A head that was forgotten and read again is the one of the item that is still
// in the cache: the answers that are kept there stay valid.
func TestHeadOfCachedItemSurvives(t *testing.T) {
	r := newRig(t, 1<<20)
	r.apply(t, r.publish(name(1), "a"))
	item, err := r.Get(t.Context(), name(1), nil)
	if err != nil {
		t.Fatalf("Get() = %v", err)
	}
	for i := range r.catalog.shards {
		r.catalog.shards[i].heads = nil
	}
	if again, err := r.Get(t.Context(), name(1), nil); again != item || err != nil {
		t.Errorf("Get() after the head was forgotten = %p, %v, want %p", again, err, item)
	}
}

// CTR-M20: a change of a variant is one of the head, for those who read the head
// again and for those who watch.
func TestVariantsAreReadWithTheHead(t *testing.T) {
	r := newRig(t, 1<<20)
	k := name(1)
	st, err := r.Watch(t.Context(), configstore.Query{AllSpaces: true}, 0)
	if err == nil {
		_, err = st.Next(t.Context())
	}
	if err != nil {
		t.Fatalf("Watch() = %v", err)
	}
	low := &configstore.Variant{Name: "a", Rule: configstore.Rule{Priority: 1}, Size: 7}
	r.apply(t, r.publish(k, "x"))
	r.apply(t, r.variant(r.variant(r.publish(k, "x"), k, low), k, &configstore.Variant{Name: "b", Rule: configstore.Rule{Priority: 2}}))
	if h := r.Head(k); names(h) != "b a" || h.Variants[1].Size != 7 {
		t.Errorf("Head() has the variants %q, want b a", names(h))
	}
	low.Rule.Priority = 3
	r.apply(t, r.variant(r.publish(k, "x"), k, low))
	if h := r.Head(k); names(h) != "a b" {
		t.Errorf("Head() has the variants %q, want a b", names(h))
	}
	p, err := r.Search(t.Context(), configstore.Query{AllSpaces: true})
	if err != nil || len(p.Heads) != 1 || names(p.Heads[0]) != "a b" {
		t.Errorf("Search() = %+v, %v, want one head with the variants a b", p, err)
	}
	var told []string
	for len(told) < 3 {
		b, err := st.Next(t.Context())
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
		for _, c := range b.Changes {
			told = append(told, names(c.Head)+"/"+strings.Join(c.Variants, " "))
		}
	}
	if got := strings.Join(told, ", "); got != "/, b a/a b, a b/a" {
		t.Errorf("changes = %q, want %q", got, "/, b a/a b, a b/a")
	}
}

func names(h *configstore.Head) string {
	var out []string
	for _, v := range h.Variants {
		out = append(out, v.Name)
	}
	return strings.Join(out, " ")
}

// ARC-S12: a row that this build does not understand stops the start, not the
// first reader.
func TestRebuildRefusesRows(t *testing.T) {
	k := name(1)
	for what, op := range map[string]func(*rig) kv.Op{
		"head": func(r *rig) kv.Op {
			o := r.head(k, &configstore.Head{})
			o.Value[0], o.StampValue = 2, 0
			return o
		},
		"variant": func(r *rig) kv.Op {
			o := r.variant(r.publish(k, ""), k, &configstore.Variant{Name: "v"}).Txn.Then[2]
			o.Value[0] = 2
			return o
		},
	} {
		r := newRig(t, 1<<20)
		r.apply(t, fsm.Command{Txn: &fsm.Txn{Then: []kv.Op{op(r)}}})
		if err := r.Rebuild(r.under); err == nil {
			t.Errorf("Rebuild() with a %s of another format = nil", what)
		}
	}
}

// After the state was replaced, a version may be that of other content.
func TestRebuildForgetsContent(t *testing.T) {
	r := newRig(t, 1<<20)
	r.apply(t, r.publish(name(1), "a"))
	item, err := r.Get(t.Context(), name(1), nil)
	if err == nil {
		err = r.Rebuild(r.under)
	}
	if err != nil {
		t.Fatalf("Get(), Rebuild() = %v", err)
	}
	if got := r.cache.peek(item.Head.Version); got != nil {
		t.Errorf("the cache holds %+v after Rebuild, want nothing", got)
	}
}
