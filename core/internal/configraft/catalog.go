package configraft

import (
	"cmp"
	"hash/maphash"
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
	heads map[configstore.Key]*configstore.Head
}

func newCatalog() *catalog {
	c := &catalog{seed: maphash.MakeSeed(), spaces: map[string]int64{}}
	for i := range c.shards {
		c.shards[i].heads = map[configstore.Key]*configstore.Head{}
	}
	c.sorted = btree.NewBTreeG(func(a, b *configstore.Head) bool { return compareKeys(&a.Key, &b.Key) < 0 })
	return c
}

func compareKeys(a, b *configstore.Key) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Group, b.Group), strings.Compare(a.Name, b.Name))
}

func (c *catalog) shard(k *configstore.Key) *shard {
	h := maphash.String(c.seed, k.Name) ^ maphash.String(c.seed, k.Group)*31
	return &c.shards[h%shards]
}

// head returns a head, nil when absent.
func (c *catalog) head(k configstore.Key) *configstore.Head {
	s := c.shard(&k)
	s.mu.RLock()
	h := s.heads[k]
	s.mu.RUnlock()
	return h
}

// put replaces or adds a head.
func (c *catalog) put(h *configstore.Head) {
	s := c.shard(&h.Key)
	s.mu.Lock()
	_, had := s.heads[h.Key]
	s.heads[h.Key] = h
	s.mu.Unlock()
	c.sorted.Set(h)
	if !had {
		c.count(h.Key.Namespace, 1)
	}
}

func (c *catalog) drop(k configstore.Key) {
	s := c.shard(&k)
	s.mu.Lock()
	_, had := s.heads[k]
	delete(s.heads, k)
	s.mu.Unlock()
	if had {
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
		s.heads = map[configstore.Key]*configstore.Head{}
		s.mu.Unlock()
	}
	c.sorted.Clear()
	c.mu.Lock()
	c.spaces = map[string]int64{}
	c.mu.Unlock()
}
