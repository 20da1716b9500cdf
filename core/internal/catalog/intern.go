package catalog

import (
	"hash/maphash"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// interner lets equal texts and equal sets share memory. It keeps the recent
// ones, in two generations: when the young one is full it becomes the old one,
// whose entries are used but not kept. So it is bounded, and forgets what has not
// been seen for long, without counting who refers to what.
type interner struct {
	young, old         map[string]string
	youngMeta, oldMeta map[uint64]registry.Meta
	rares              map[registry.Expiry]*registry.Rare
}

const (
	maxTexts = 4096 // of one generation
	maxText  = 128  // bytes; longer ones are rarely equal
	maxSets  = 1024
	maxRares = 64
)

// clone cuts a text out of whatever larger one it may be part of.
func clone(s string) string { return strings.Clone(s) }

func (n *interner) text(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > maxText {
		return clone(s)
	}
	if t, ok := n.young[s]; ok {
		return t
	}
	t, ok := n.old[s]
	if !ok {
		t = clone(s)
	}
	if n.young == nil || len(n.young) >= maxTexts {
		n.old, n.young = n.young, make(map[string]string)
	}
	n.young[t] = t
	return t
}

// pairs is a set that nobody else can change, sorted by key.
func (n *interner) pairs(p registry.Pairs) registry.Pairs {
	if len(p) == 0 {
		return nil
	}
	q := make(registry.Pairs, len(p))
	for i := range p {
		q[i] = registry.Pair{Key: n.text(p[i].Key), Value: n.text(p[i].Value)}
	}
	return q
}

// meta is a set as an instance keeps it.
func (n *interner) meta(p registry.Pairs) registry.Meta {
	if len(p) == 0 {
		return ""
	}
	h := hashPairs(p)
	if m, ok := n.youngMeta[h]; ok && m.Is(p) {
		return m
	}
	m, ok := n.oldMeta[h]
	if !ok || !m.Is(p) {
		m = registry.MetaOf(p)
	}
	if n.youngMeta == nil || len(n.youngMeta) >= maxSets {
		n.oldMeta, n.youngMeta = n.youngMeta, make(map[uint64]registry.Meta)
	}
	n.youngMeta[h] = m
	return m
}

func hashPairs(p registry.Pairs) uint64 {
	var h uint64
	for i := range p {
		h = (h ^ maphash.String(seed, p[i].Key)) * mixer
		h = (h ^ maphash.String(seed, p[i].Value)) * mixer
	}
	return h
}

// expiring is a Rare that says nothing but when its instance ends.
func (n *interner) expiring(x registry.Expiry) *registry.Rare {
	if r := n.rares[x]; r != nil {
		return r
	}
	r := &registry.Rare{Expiry: x}
	if n.rares == nil || len(n.rares) >= maxRares {
		n.rares = make(map[registry.Expiry]*registry.Rare)
	}
	n.rares[x] = r
	return r
}
