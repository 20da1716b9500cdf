// Package registry holds the neutral values that services, instances and config
// items share. The service registry itself will live here.
package registry

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

// Ext is what one plugin keeps beside a neutral record, opaque to all others
// (ARC-P07). At most 64 KiB.
type Ext struct {
	Owner string
	Data  []byte
}
