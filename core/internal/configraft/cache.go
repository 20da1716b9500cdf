package configraft

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
)

// itemOverhead is what an item costs beside its content.
const itemOverhead = 256

// minRing is how many slots are not worth a tidying.
const minRing = 64

// cache holds items by the stamp of their version, at most limit bytes of them.
// A hand goes round: what was read since it last passed stays, the rest goes.
type cache struct {
	limit int64

	mu    sync.RWMutex // guards the rest
	items map[kv.Stamp]*slot
	ring  []*slot
	hand  int
	bytes int64
}

type slot struct {
	stamp kv.Stamp
	item  *configstore.Item
	used  atomic.Bool // read since the hand passed
	gone  bool
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, items: map[kv.Stamp]*slot{}}
}

// get returns a cached item, or nil.
func (c *cache) get(v kv.Stamp) *configstore.Item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.items[v]
	if s == nil {
		return nil
	}
	if !s.used.Load() {
		s.used.Store(true)
	}
	return s.item
}

// peek is get for somebody who is not about to use the content.
func (c *cache) peek(v kv.Stamp) *configstore.Item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.items[v]; s != nil {
		return s.item
	}
	return nil
}

// reset forgets everything: the versions are those of another history.
func (c *cache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items, c.ring, c.hand, c.bytes = map[kv.Stamp]*slot{}, nil, 0, 0
}

// put adds an item, in place of one for the same version that belongs to an
// older head, and returns the one that is kept.
func (c *cache) put(v kv.Stamp, item *configstore.Item) *configstore.Item {
	size := int64(len(item.Content)) + itemOverhead
	if size > c.limit/4 {
		return item // one giant must not empty the cache
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.items[v]; s != nil {
		if s.item.Head != item.Head {
			s.item = item
		}
		return s.item
	}
	s := &slot{stamp: v, item: item}
	s.used.Store(true)
	c.items[v] = s
	c.ring = append(c.ring, s)
	for c.bytes += size; c.bytes > c.limit; {
		c.evict()
	}
	return item
}

// drop forgets a version that is no longer current.
func (c *cache) drop(v kv.Stamp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.items[v]
	if s == nil {
		return false
	}
	c.remove(s)
	c.tidy()
	return true
}

// tidy takes slots that are gone out of the ring when they are the most of it:
// the hand, which would, moves only when the cache is full.
func (c *cache) tidy() {
	if len(c.ring) < 2*len(c.items)+minRing {
		return
	}
	c.ring = slices.DeleteFunc(c.ring, func(s *slot) bool { return s.gone })
	c.hand = 0
}

func (c *cache) remove(s *slot) {
	delete(c.items, s.stamp)
	c.bytes -= int64(len(s.item.Content)) + itemOverhead
	s.gone, s.item = true, nil
}

// evict moves the hand until one item has gone.
func (c *cache) evict() {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		s := c.ring[c.hand]
		if !s.gone && s.used.Swap(false) {
			c.hand++
			continue
		}
		last := len(c.ring) - 1
		c.ring[c.hand] = c.ring[last]
		c.ring[last], c.ring = nil, c.ring[:last]
		if !s.gone {
			c.remove(s)
			return
		}
	}
}
