package registry

import (
	"encoding/binary"
	"iter"
)

// Meta is a set of pairs as it is kept with an instance, of which there are many:
// in the order of their keys, each text behind its length. Equal sets are equal
// texts. MetaOf makes one; whatever else is in the text is no pair.
type Meta string

// MetaOf is pairs, which are sorted by key, as Meta.
func MetaOf(p Pairs) Meta {
	if len(p) == 0 {
		return ""
	}
	n := 0
	for i := range p {
		n += size(p[i].Key) + size(p[i].Value)
	}
	b := make([]byte, 0, n)
	for i := range p {
		b = appendText(appendText(b, p[i].Key), p[i].Value)
	}
	return Meta(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// size is what appendText appends.
func size(s string) int {
	n := 1 + len(s)
	for l := len(s) >> 7; l > 0; l >>= 7 {
		n++
	}
	return n
}

// cut takes the first text off; false when there is none.
func (m Meta) cut() (text string, rest Meta, ok bool) {
	var n uint64
	for i := 0; i < len(m) && i < binary.MaxVarintLen32; i++ {
		n |= uint64(m[i]&0x7f) << (7 * i)
		if m[i] >= 0x80 {
			continue
		}
		if rest = m[i+1:]; n > uint64(len(rest)) {
			return "", "", false
		}
		return string(rest[:n]), rest[n:], true
	}
	return "", "", false
}

// All is the pairs in the order of their keys.
func (m Meta) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for {
			key, rest, _ := m.cut()
			value, rest, ok := rest.cut()
			if !ok || !yield(key, value) {
				return
			}
			m = rest
		}
	}
}

// Get returns the value of key and whether it is there.
func (m Meta) Get(key string) (string, bool) {
	for k, v := range m.All() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Is compares with pairs.
func (m Meta) Is(p Pairs) bool {
	i := 0
	for k, v := range m.All() {
		if i == len(p) || p[i].Key != k || p[i].Value != v {
			return false
		}
		i++
	}
	return i == len(p)
}

// Pairs takes the set apart; nil for an empty one.
func (m Meta) Pairs() Pairs {
	var out Pairs
	for k, v := range m.All() {
		out = append(out, Pair{Key: k, Value: v})
	}
	return out
}
