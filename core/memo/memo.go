// Package memo keeps encoded forms beside an immutable value, so that a value
// that is read a million times is encoded once per shape (CTR-D10).
package memo

import "sync/atomic"

// ID names one encoder of one plugin; the host hands it out. It is stable for
// the life of the process only.
type ID uint16

type entry struct {
	id   ID
	b    []byte
	next *entry
}

// Cache is a small append-only list of encoded forms; the zero value is empty.
// It never crosses a process border and takes no part in equality. All methods
// are safe for concurrent use. A Cache must not be copied after first use.
type Cache struct{ head atomic.Pointer[entry] }

// Load returns the stored bytes, which must not be changed, or nil.
func (c *Cache) Load(id ID) []byte {
	for e := c.head.Load(); e != nil; e = e.next {
		if e.id == id {
			return e.b
		}
	}
	return nil
}

// Store publishes b, unless another goroutine was first, and returns the
// winner. b belongs to the cache afterwards.
func (c *Cache) Store(id ID, b []byte) []byte {
	for {
		old := c.head.Load()
		for e := old; e != nil; e = e.next {
			if e.id == id {
				return e.b
			}
		}
		if c.head.CompareAndSwap(old, &entry{id: id, b: b, next: old}) {
			return b
		}
	}
}
