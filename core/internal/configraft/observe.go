package configraft

import (
	"cmp"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

// Applied implements store.Observer: it moves the catalog to a revision and
// tells the watchers.
func (s *Store) Applied(rev kv.Revision, changes []fsm.Change) {
	ids := s.IDs()
	var moved []configstore.Change
	for i := range changes {
		c := &changes[i]
		var err error
		switch c.Table {
		case 0:
		case ids.Head:
			moved, err = s.headMoved(moved, c)
		case ids.Variant:
			moved, err = s.variantMoved(moved, c)
		}
		if err != nil {
			// Rows are written by this build's codec; whatever this is, the
			// others must not wait for it.
			s.logger.Error("config row not understood", zap.Binary("key", c.Record.Key), zap.Error(err))
		}
	}
	if len(moved) == 0 {
		s.ring.move(rev)
		return
	}
	s.warm(changes, ids.Version)
	s.ring.publish(configstore.Batch{Revision: rev, Changes: moved})
}

// at finds or adds the change of an item within a revision.
func at(moved []configstore.Change, k configstore.Key) ([]configstore.Change, *configstore.Change) {
	for i := range moved {
		if moved[i].Key == k {
			return moved, &moved[i]
		}
	}
	moved = append(moved, configstore.Change{Key: k})
	return moved, &moved[len(moved)-1]
}

func (s *Store) headMoved(moved []configstore.Change, c *fsm.Change) ([]configstore.Change, error) {
	if c.Deleted {
		k, _, err := parseKey(c.Record.Key)
		if err != nil {
			return moved, err
		}
		moved, m := at(moved, k)
		m.Formal = true
		if old := s.catalog.head(k); old != nil {
			s.cache.drop(old.Version)
		}
		s.catalog.drop(k)
		return moved, nil
	}
	h, err := s.headOf(c.Record)
	if err != nil {
		return moved, err
	}
	moved, m := at(moved, h.Key)
	old := s.catalog.head(h.Key)
	if old != nil {
		h.Variants = old.Variants
	}
	m.Created = m.Created || old == nil
	m.Formal = m.Formal || old == nil || old.Version != h.Version || !sameMeta(old, h)
	m.Head = h
	s.catalog.put(h)
	return moved, nil
}

// sameMeta says whether everything beside content and variants is the same.
func sameMeta(a, b *configstore.Head) bool {
	return a.Formal == b.Formal && a.Type == b.Type && a.App == b.App && a.Desc == b.Desc &&
		a.Cipher == b.Cipher && a.Owner == b.Owner && a.ReadOnly == b.ReadOnly && slices.Equal(a.Tags, b.Tags)
}

func variantName(key []byte) (configstore.Key, string, error) {
	k, rest, err := parseKey(key)
	if err != nil {
		return k, "", err
	}
	name, rest, err := tuple.String(rest)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return k, name, err
}

func (s *Store) variantMoved(moved []configstore.Change, c *fsm.Change) ([]configstore.Change, error) {
	k, name, err := variantName(c.Record.Key)
	if err != nil {
		return moved, err
	}
	moved, m := at(moved, k)
	m.Variants = append(m.Variants, name)
	old := s.catalog.head(k)
	if old == nil {
		return moved, nil // the head went in the same revision
	}
	h := CloneHead(old)
	h.Variants = slices.DeleteFunc(slices.Clone(old.Variants), func(v *configstore.Variant) bool { return v.Name == name })
	if !c.Deleted {
		v, err := decodeVariant(name, c.Record.Value)
		if err != nil {
			return moved, err
		}
		h.Variants = insertVariant(h.Variants, v)
	}
	m.Head = h
	s.catalog.put(h)
	return moved, nil
}

// insertVariant keeps the order of resolution: priority descending, then name.
func insertVariant(vs []*configstore.Variant, v *configstore.Variant) []*configstore.Variant {
	i, _ := slices.BinarySearchFunc(vs, v, func(a, b *configstore.Variant) int {
		return cmp.Or(cmp.Compare(b.Rule.Priority, a.Rule.Priority), strings.Compare(a.Name, b.Name))
	})
	return slices.Insert(vs, i, v)
}

// warm puts the new versions of items that are being read into the cache, so
// that those who are woken do not all go to the disk (CTR-C02).
func (s *Store) warm(changes []fsm.Change, version fsm.TableID) {
	for i := range changes {
		c := &changes[i]
		if c.Table != version || c.Deleted {
			continue
		}
		previous, _, err := header(c.Record.Value)
		if err != nil || previous == 0 || !s.cache.drop(previous) {
			continue
		}
		v, err := decodeVersion(c.Record.Key, c.Record.Value)
		if err != nil || v.content == nil && v.Size > 0 {
			continue
		}
		h := s.catalog.head(v.Key)
		if h == nil {
			continue
		}
		item := &configstore.Item{Head: h, Content: slices.Clone(v.content)}
		if v.Variant != "" {
			i := slices.IndexFunc(h.Variants, func(x *configstore.Variant) bool { return x.Name == v.Variant })
			if i < 0 {
				continue
			}
			item.Variant = h.Variants[i]
		}
		s.cache.put(v.Version, item)
	}
}
