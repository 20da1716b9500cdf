package configraft

import (
	"slices"
	"unsafe"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/registry"
)

const (
	// textSlots is how many short texts are remembered, one per slot.
	textSlots = 1 << 10
	// shortText is the longest one worth remembering.
	shortText = 64
)

// texts give heads one copy of what most of them have in common: namespaces,
// groups, types, names of plugins and users. One goroutine uses it.
type texts struct {
	slots [textSlots]string
	blank registry.Ext // the last part without data
	list  []registry.Ext
}

// of returns b as a text of its own, perhaps one that others have too.
func (t *texts) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > shortText {
		return string(b)
	}
	h := uint32(2166136261) // FNV-1a
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	slot := &t.slots[h%textSlots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// ext adds a part to a list. The list of one part without data is shared.
func (t *texts) ext(list []registry.Ext, owner, data []byte) []registry.Ext {
	if len(list) > 0 || len(data) > 0 {
		return append(slices.Clip(list), registry.Ext{Owner: t.of(owner), Data: append([]byte{}, data...)})
	}
	if t.list == nil || t.blank.Owner != string(owner) {
		t.blank = registry.Ext{Owner: t.of(owner), Data: []byte{}}
		t.list = []registry.Ext{t.blank}
	}
	return t.list[:1:1]
}

// key reads the key of a head. The name shares memory with b, which is a row's
// and lives as long as the row does.
func (t *texts) key(b []byte) (k configstore.Key, err error) {
	namespace, b, err := tuple.Cut(b)
	if err != nil {
		return k, err
	}
	group, b, err := tuple.Cut(b)
	if err != nil {
		return k, err
	}
	name, rest, err := tuple.Cut(b)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return configstore.Key{Namespace: t.of(namespace), Group: t.of(group), Name: lent(name)}, err
}

// lent reads bytes that never change as a text, without a copy.
func lent(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // see above
}
