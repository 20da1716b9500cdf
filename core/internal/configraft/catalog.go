package configraft

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/easynet-cn/batata/core/configstore"
)

// shards spread the lookups of many readers over as many locks.
const shards = 64

// catalog finds heads by key and in order. One goroutine writes it.
type catalog struct {
	seed   maphash.Seed
	shards [shards]shard
	sorted *btree.BTreeG[*configstore.Head]
	// spaces counts items per namespace.
	mu     sync.RWMutex // guards spaces
	spaces map[string]int64
}

type shard struct {
	mu    sync.RWMutex // guards heads
	heads index
}

func newCatalog() *catalog {
	c := &catalog{seed: maphash.MakeSeed(), spaces: map[string]int64{}}
	c.sorted = btree.NewBTreeG(func(a, b *configstore.Head) bool { return compareKeys(&a.Key, &b.Key) < 0 })
	return c
}

func compareKeys(a, b *configstore.Key) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Group, b.Group), strings.Compare(a.Name, b.Name))
}

// place returns the shard of a key and its tag there.
func (c *catalog) place(k *configstore.Key) (*shard, uint32) {
	h := maphash.String(c.seed, k.Name) ^
		bits.RotateLeft64(maphash.String(c.seed, k.Group), 21) ^
		bits.RotateLeft64(maphash.String(c.seed, k.Namespace), 42)
	return &c.shards[h>>32%shards], max(1, uint32(h))
}

// head returns a head, nil when absent.
func (c *catalog) head(k configstore.Key) *configstore.Head {
	s, tag := c.place(&k)
	s.mu.RLock()
	h := s.heads.get(tag, &k)
	s.mu.RUnlock()
	return h
}

// put replaces or adds a head.
func (c *catalog) put(h *configstore.Head) {
	s, tag := c.place(&h.Key)
	s.mu.Lock()
	old := s.heads.put(tag, h)
	s.mu.Unlock()
	c.sorted.Set(h)
	if old == nil {
		c.count(h.Key.Namespace, 1)
	}
}

func (c *catalog) drop(k configstore.Key) {
	s, tag := c.place(&k)
	s.mu.Lock()
	old := s.heads.drop(tag, &k)
	s.mu.Unlock()
	if old != nil {
		c.sorted.Delete(&configstore.Head{Key: k})
		c.count(k.Namespace, -1)
	}
}

func (c *catalog) count(namespace string, by int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spaces[namespace] += by; c.spaces[namespace] == 0 {
		delete(c.spaces, namespace)
	}
}

// reset forgets everything.
func (c *catalog) reset() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.heads = index{}
		s.mu.Unlock()
	}
	c.sorted.Clear()
	c.mu.Lock()
	c.spaces = map[string]int64{}
	c.mu.Unlock()
}
