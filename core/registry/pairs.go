package registry

import (
	"cmp"
	"slices"
)

// Pair is one key with its value.
type Pair struct{ Key, Value string }

// Pairs is a small map as a slice sorted by key. It is immutable once handed
// to core.
type Pairs []Pair

// Get returns the value of key and whether it is there.
func (p Pairs) Get(key string) (string, bool) {
	for i := range p {
		if p[i].Key == key {
			return p[i].Value, true
		}
	}
	return "", false
}

// Equal compares two sets pair by pair.
func (p Pairs) Equal(q Pairs) bool { return slices.Equal(p, q) }

// PairsOf is a map as pairs; nil for an empty one.
func PairsOf(m map[string]string) Pairs {
	if len(m) == 0 {
		return nil
	}
	out := make(Pairs, 0, len(m))
	for k, v := range m {
		out = append(out, Pair{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b Pair) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// Over lays pairs over p, key by key.
func (p Pairs) Over(q Pairs) Pairs {
	if len(q) == 0 {
		return p
	}
	out := make(Pairs, 0, len(p)+len(q))
	for len(p) > 0 || len(q) > 0 {
		switch {
		case len(q) == 0 || len(p) > 0 && p[0].Key < q[0].Key:
			out, p = append(out, p[0]), p[1:]
		default:
			if len(p) > 0 && p[0].Key == q[0].Key {
				p = p[1:]
			}
			out, q = append(out, q[0]), q[1:]
		}
	}
	return out
}

// Ext is what one plugin keeps beside a neutral record, opaque to all others
// (ARC-P07). At most 64 KiB.
type Ext struct {
	Owner string
	Data  []byte
}
