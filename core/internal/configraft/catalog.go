package configraft

import (
	"hash/maphash"
	"sync"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

const (
	// shards spread the lookups of many readers over as many locks.
	shards = 64
	// maxDecoded is how many decoded heads one shard keeps. When it has more it
	// forgets them all: what is read will be decoded again.
	maxDecoded = 2048
)

// catalog finds the rows of heads by key, and keeps the heads that were read
// decoded. One goroutine puts and drops rows.
type catalog struct {
	seed   maphash.Seed
	shards [shards]shard
	// spaces counts items per namespace.
	mu     sync.RWMutex // guards spaces
	spaces map[string]*int64
}

type shard struct {
	mu    sync.RWMutex // guards the rest
	rows  index
	heads map[*kv.Record]*configstore.Head // of rows in the index
}

func newCatalog() *catalog {
	return &catalog{seed: maphash.MakeSeed(), spaces: map[string]*int64{}}
}

// place returns the shard of a key and its tag there.
func (c *catalog) place(key []byte) (*shard, uint32) {
	h := maphash.Bytes(c.seed, key)
	return &c.shards[h>>32%shards], max(1, uint32(h))
}

// find returns the row of a head, nil when absent, and the head if it is at hand.
func (c *catalog) find(key []byte) (*kv.Record, *configstore.Head) {
	s, tag := c.place(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	row := s.rows.get(tag, key)
	return row, s.heads[row]
}

// keep remembers a decoded head for as long as its row is the present one.
func (c *catalog) keep(row *kv.Record, h *configstore.Head) *configstore.Head {
	s, tag := c.place(row.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows.get(tag, row.Key) != row {
		return h
	}
	if have := s.heads[row]; have != nil {
		return have // everybody gets the same one
	}
	s.remember(row, h)
	return h
}

// remember adds a head; mu is held.
func (s *shard) remember(row *kv.Record, h *configstore.Head) {
	if s.heads == nil || len(s.heads) >= maxDecoded {
		s.heads = map[*kv.Record]*configstore.Head{}
	}
	s.heads[row] = h
}

// put replaces or adds a row. The new head is kept where the old one was.
func (c *catalog) put(row *kv.Record, h *configstore.Head) {
	s, tag := c.place(row.Key)
	s.mu.Lock()
	old := s.rows.put(tag, row)
	if s.heads[old] != nil {
		delete(s.heads, old)
		s.heads[row] = h
	}
	s.mu.Unlock()
	if old == nil {
		c.count(row.Key, 1)
	}
}

func (c *catalog) drop(key []byte) {
	s, tag := c.place(key)
	s.mu.Lock()
	old := s.rows.drop(tag, key)
	delete(s.heads, old)
	s.mu.Unlock()
	if old != nil {
		c.count(key, -1)
	}
}

// count follows the number of items in the namespace of a key.
func (c *catalog) count(key []byte, by int64) {
	namespace, _, err := tuple.Cut(key)
	if err != nil {
		return // was read before it came here
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.spaces[string(namespace)]
	if n == nil {
		n = new(int64)
		c.spaces[string(namespace)] = n
	}
	if *n += by; *n == 0 {
		delete(c.spaces, string(namespace))
	}
}

// reset forgets everything.
func (c *catalog) reset() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.rows, s.heads = index{}, nil
		s.mu.Unlock()
	}
	c.mu.Lock()
	c.spaces = map[string]*int64{}
	c.mu.Unlock()
}
