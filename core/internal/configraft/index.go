package configraft

import "github.com/easynet-cn/batata/core/configstore"

// index finds heads by key with little more than a pointer for each: an open
// table with linear probing, where an equal tag says that a key is worth
// comparing.
type index struct {
	tags  []uint32 // low bits of the hash; 0: free
	heads []*configstore.Head
	count int
}

// firstSlots is the size of an index that holds something, a power of two.
const firstSlots = 16

// find returns the slot of a key, or the free one where it belongs.
func (x *index) find(tag uint32, k *configstore.Key) (slot uint32, found bool) {
	mask := uint32(len(x.tags) - 1)
	for i := tag & mask; ; i = (i + 1) & mask {
		switch {
		case x.tags[i] == 0:
			return i, false
		case x.tags[i] == tag && x.heads[i].Key == *k:
			return i, true
		}
	}
}

// get returns nil for an absent key.
func (x *index) get(tag uint32, k *configstore.Key) *configstore.Head {
	if x.count == 0 {
		return nil
	}
	if i, found := x.find(tag, k); found {
		return x.heads[i]
	}
	return nil
}

// put returns the head that was replaced, or nil.
func (x *index) put(tag uint32, h *configstore.Head) (old *configstore.Head) {
	if 4*(x.count+1) > 3*len(x.tags) {
		x.grow()
	}
	i, found := x.find(tag, &h.Key)
	if found {
		old = x.heads[i]
	} else {
		x.count++
	}
	x.tags[i], x.heads[i] = tag, h
	return old
}

func (x *index) grow() {
	old := *x
	n := max(firstSlots, 2*len(old.tags))
	x.tags, x.heads = make([]uint32, n), make([]*configstore.Head, n)
	for i, tag := range old.tags {
		if tag != 0 {
			j, _ := x.find(tag, &old.heads[i].Key)
			x.tags[j], x.heads[j] = tag, old.heads[i]
		}
	}
}

// drop returns the head that was there, or nil. Those behind it that would not be
// found across the gap move up.
func (x *index) drop(tag uint32, k *configstore.Key) (old *configstore.Head) {
	if x.count == 0 {
		return nil
	}
	gap, found := x.find(tag, k)
	if !found {
		return nil
	}
	old = x.heads[gap]
	x.count--
	mask := uint32(len(x.tags) - 1)
	for i := (gap + 1) & mask; x.tags[i] != 0; i = (i + 1) & mask {
		if home := x.tags[i] & mask; (i-home)&mask >= (i-gap)&mask {
			x.tags[gap], x.heads[gap] = x.tags[i], x.heads[i]
			gap = i
		}
	}
	x.tags[gap], x.heads[gap] = 0, nil
	return old
}
