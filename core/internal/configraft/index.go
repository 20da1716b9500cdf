package configraft

import "github.com/easynet-cn/batata/core/kv"

// index finds rows by key with little more than a pointer for each: an open
// table with linear probing, where an equal tag says that a key is worth
// comparing.
type index struct {
	tags  []uint32 // low bits of the hash; 0: free
	rows  []*kv.Record
	count int
}

// firstSlots is the size of an index that holds something, a power of two.
const firstSlots = 16

// find returns the slot of a key, or the free one where it belongs.
func (x *index) find(tag uint32, key []byte) (slot uint32, found bool) {
	mask := uint32(len(x.tags) - 1)
	for i := tag & mask; ; i = (i + 1) & mask {
		switch {
		case x.tags[i] == 0:
			return i, false
		case x.tags[i] == tag && string(x.rows[i].Key) == string(key):
			return i, true
		}
	}
}

// get returns nil for an absent key.
func (x *index) get(tag uint32, key []byte) *kv.Record {
	if x.count == 0 {
		return nil
	}
	if i, found := x.find(tag, key); found {
		return x.rows[i]
	}
	return nil
}

// put returns the row that was replaced, or nil.
func (x *index) put(tag uint32, row *kv.Record) (old *kv.Record) {
	if 4*(x.count+1) > 3*len(x.tags) {
		x.grow()
	}
	i, found := x.find(tag, row.Key)
	if found {
		old = x.rows[i]
	} else {
		x.count++
	}
	x.tags[i], x.rows[i] = tag, row
	return old
}

func (x *index) grow() {
	old := *x
	n := max(firstSlots, 2*len(old.tags))
	x.tags, x.rows = make([]uint32, n), make([]*kv.Record, n)
	mask := uint32(n - 1)
	for i, tag := range old.tags {
		if tag == 0 {
			continue
		}
		j := tag & mask // keys differ: the next free slot is the place
		for x.tags[j] != 0 {
			j = (j + 1) & mask
		}
		x.tags[j], x.rows[j] = tag, old.rows[i]
	}
}

// drop returns the row that was there, or nil. Those behind it that would not be
// found across the gap move up.
func (x *index) drop(tag uint32, key []byte) (old *kv.Record) {
	if x.count == 0 {
		return nil
	}
	gap, found := x.find(tag, key)
	if !found {
		return nil
	}
	old = x.rows[gap]
	x.count--
	mask := uint32(len(x.tags) - 1)
	for i := (gap + 1) & mask; x.tags[i] != 0; i = (i + 1) & mask {
		if home := x.tags[i] & mask; (i-home)&mask >= (i-gap)&mask {
			x.tags[gap], x.rows[gap] = x.tags[i], x.rows[i]
			gap = i
		}
	}
	x.tags[gap], x.rows[gap] = 0, nil
	return old
}
