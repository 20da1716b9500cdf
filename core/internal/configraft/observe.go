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

// maxMoved is the most changes of one revision that room is kept for.
const maxMoved = 1024

// Applied implements store.Observer: it moves the catalog to a revision and
// tells the watchers.
func (s *Store) Applied(rev kv.Revision, changes []fsm.Change) {
	ids := s.IDs()
	moved := s.moved[:0]
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
			s.misread(c.Record, err)
		}
	}
	if s.moved = moved; cap(moved) > maxMoved {
		s.moved = nil
	}
	if len(moved) == 0 {
		s.ring.move(rev)
		return
	}
	s.warm(changes, ids.Version)
	s.ring.publish(rev, moved)
	clear(moved)
}

func (s *Store) misread(r *kv.Record, err error) {
	s.logger.Error("config row not understood", zap.Binary("key", r.Key), zap.Error(err))
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
		m.Head, m.Formal = nil, true
		if old := c.Previous; old != nil {
			if stamp, _, err := header(old.Value); err == nil {
				s.cache.drop(stamp)
			}
		}
		s.catalog.drop(c.Record.Key)
		return moved, nil
	}
	r := new(reader)
	if err := r.row(c.Record); err != nil {
		return moved, err
	}
	h := &r.head
	h.Variants = s.variants(s.store.Root(), c.Record.Key)
	moved, m := at(moved, h.Key)
	m.Created = m.Created || c.Previous == nil
	m.Formal = m.Formal || otherFormal(c.Previous, h)
	m.Head = h
	s.catalog.put(c.Record, h)
	return moved, nil
}

// otherFormal says whether the formal content or its metadata is another than in
// the row before.
func otherFormal(before *kv.Record, h *configstore.Head) bool {
	if before == nil {
		return true
	}
	if stamp, _, err := header(before.Value); err != nil || stamp != h.Version {
		return true
	}
	var old reader
	return old.row(before) != nil || !sameMeta(&old.head, h)
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

// variantMoved notes which variant; what became of it is in the head, which moves
// in the same revision.
func (s *Store) variantMoved(moved []configstore.Change, c *fsm.Change) ([]configstore.Change, error) {
	k, name, err := variantName(c.Record.Key)
	if err != nil {
		return moved, err
	}
	if !c.Deleted {
		_, err = decodeVariant(name, c.Record.Value)
	}
	moved, m := at(moved, k)
	m.Variants = append(m.Variants, name)
	return moved, err
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
		h := s.Head(v.Key)
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
