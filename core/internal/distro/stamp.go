package distro

import (
	"cmp"

	"github.com/easynet-cn/batata/core/registry"
)

// Stamp tells the states of one publisher apart. A member that makes a publisher its
// own gives it an incarnation above all it knows; its changes then count up the
// member's own sequence.
type Stamp struct {
	Incarnation uint64
	Member      uint64
	Epoch       uint64 // starts of the member
	Sequence    uint64 // of the member, in that epoch
}

// maxIncarnation keeps an incarnation from outside from being the last one.
const maxIncarnation = 1 << 62

func (a *Stamp) compare(b *Stamp) int {
	return cmp.Or(
		cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(a.Member, b.Member),
		cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence),
	)
}

// life is one run of a member.
type life struct{ member, epoch uint64 }

func (a *Stamp) life() life { return life{a.Member, a.Epoch} }

// hashKey is the same on all members. It spreads; it is no defence.
func hashKey(k *registry.PublisherKey) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	h := uint64(offset)
	for i := range len(k.Owner) {
		h = (h ^ uint64(k.Owner[i])) * prime
	}
	h *= prime
	for i := range len(k.Scope) {
		h = (h ^ uint64(k.Scope[i])) * prime
	}
	return mix(h)
}

// mix spreads a number over all bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// version names a state. What the client has confirmed counts first: the silence
// that a member has seen after it took over is about the state that it knew.
type version struct {
	stamp Stamp
	base  *Stamp // that the client has confirmed; nil: stamp
}

func (v *version) confirmed() *Stamp {
	if v.base != nil {
		return v.base
	}
	return &v.stamp
}

func (v *version) compare(o *version) int {
	if c := v.confirmed().compare(o.confirmed()); c != 0 {
		return c
	}
	return v.stamp.compare(&o.stamp)
}

// sum is what a state adds to its bucket.
func (v *version) sum(h uint64) uint64 {
	if v.base != nil {
		h = v.base.sum(h)
	}
	return v.stamp.sum(h)
}

func (a *Stamp) sum(h uint64) uint64 {
	for _, x := range [...]uint64{a.Incarnation, a.Member, a.Epoch, a.Sequence} {
		h = mix(h ^ x + 0x9e3779b97f4a7c15)
	}
	return h
}

// choose is the member that a hash falls to; 0 for none. When a member comes or
// goes, only its own share moves.
func choose(h uint64, members []uint64) (best uint64) {
	var most uint64
	for _, m := range members {
		if score := mix(h ^ mix(m)); best == 0 || score > most {
			best, most = m, score
		}
	}
	return best
}
