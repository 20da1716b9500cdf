package configraft

import (
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
)

func item(size int) *configstore.Item {
	return &configstore.Item{Head: &configstore.Head{}, Content: make([]byte, size)}
}

// STY-52: the cache never holds more than its limit, and what is read often
// stays.
func TestCacheLimit(t *testing.T) {
	const size = 1000
	c := newCache(10 * (size + itemOverhead))
	hot := kv.Stamp(1)
	c.put(hot, item(size))
	missed := 0
	for v := kv.Stamp(2); v < 1000; v++ {
		c.put(v, item(size))
		if c.get(hot) == nil {
			missed++
			c.put(hot, item(size))
		}
		if c.bytes > c.limit || len(c.items) > 10 {
			t.Fatalf("cache = %d items, %d bytes, want at most 10 and %d", len(c.items), c.bytes, c.limit)
		}
	}
	if len(c.items) != 10 || missed > 2 { // the first round of the hand spares nobody
		t.Errorf("cache = %d items, the hot one missed %d times, want 10 and at most 2", len(c.items), missed)
	}
}

// Dropped versions leave nothing behind, however small the cache is filled: an
// item that is published for years stays one item.
func TestCacheDrop(t *testing.T) {
	c := newCache(64 << 20)
	for v := kv.Stamp(1); v <= 100_000; v++ {
		c.put(v, item(10))
		if v > 5 && !c.drop(v-5) {
			t.Fatalf("drop(%d) = false", v-5)
		}
	}
	if len(c.items) != 5 || len(c.ring) > 200 {
		t.Errorf("cache = %d items in a ring of %d, want 5 in a small one", len(c.items), len(c.ring))
	}
	for v := kv.Stamp(100_000); v > 99_995; v-- {
		c.drop(v)
	}
	if c.drop(1) || c.bytes != 0 || len(c.items) != 0 {
		t.Errorf("cache = %d items, %d bytes, want none", len(c.items), c.bytes)
	}
}

// A giant passes by; one version belongs to the head that came last.
func TestCachePut(t *testing.T) {
	c := newCache(4 * (1000 + itemOverhead))
	if giant := item(1001); c.put(1, giant) != giant || c.get(1) != nil {
		t.Error("put(giant): kept, want it handed back only")
	}
	first, second := item(1000), item(1000)
	if c.put(2, first) != first || c.get(2) != first {
		t.Error("put(first): not kept")
	}
	same := &configstore.Item{Head: first.Head, Content: first.Content}
	if c.put(2, same) != first {
		t.Error("put(same head): want the item that is there")
	}
	if c.put(2, second) != second || c.get(2) != second || c.bytes != 1000+itemOverhead {
		t.Errorf("put(other head): %d bytes, want the new one in place of the old", c.bytes)
	}
}
