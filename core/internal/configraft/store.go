package configraft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// The tables of configs, all owned by Owner.
const (
	Owner        = "core"
	TableHead    = "cfg_head"
	TableVariant = "cfg_var"
	TableVersion = "cfg_ver"
	TableQuota   = "cfg_quota"
)

// Tables declares them.
func Tables() []kv.TableSpec {
	return []kv.TableSpec{
		{Name: TableHead, Residency: kv.Hot},
		{Name: TableVariant, Residency: kv.Hot},
		{Name: TableVersion, Residency: kv.Cold},
		{Name: TableQuota, Residency: kv.Hot},
	}
}

// Store implements configstore.Configs and store.Observer.
type Store struct {
	store   *store.Store
	logger  *zap.Logger
	catalog *catalog
	cache   *cache
	ring    *ring
	tables  atomic.Pointer[TableIDs] // nil: not declared when somebody last looked
	moved   []configstore.Change     // scratch of the goroutine that applies
}

// TableIDs are the ids of the tables, zeros before they are declared.
type TableIDs struct{ Head, Variant, Version, Quota fsm.TableID }

var (
	_ configstore.Configs = (*Store)(nil)
	_ store.Observer      = (*Store)(nil)
)

// New returns a store over the rows of s; register it as an observer of s. At
// most cacheBytes of content stay in memory.
func New(s *store.Store, cacheBytes int64, logger *zap.Logger) *Store {
	return &Store{store: s, logger: logger, catalog: newCatalog(), cache: newCache(cacheBytes), ring: new(ring)}
}

// Rebuild implements store.Observer. All rows are read once, so that none that is
// not understood is found later.
func (s *Store) Rebuild(st *store.Store) error {
	s.catalog.reset()
	s.cache.reset()
	s.ring.reset(st.Root().Revision())
	if s.find().Head == 0 {
		return nil
	}
	var (
		failed error
		head   reader
	)
	st.Root().Scan(fsm.AppendKey(nil, s.IDs().Head, nil), nil, false, func(r *kv.Record) bool {
		if err := head.row(r); err != nil {
			failed = fmt.Errorf("read config head %q: %w", r.Key, err)
			return false
		}
		s.catalog.put(r, nil)
		return true
	})
	st.Root().Scan(fsm.AppendKey(nil, s.IDs().Variant, nil), nil, false, func(r *kv.Record) bool {
		_, name, err := variantName(r.Key)
		if err == nil {
			_, err = decodeVariant(name, r.Value)
		}
		if err != nil {
			failed = fmt.Errorf("read config variant %q: %w", r.Key, err)
			return false
		}
		return true
	})
	return failed
}

// find looks the table ids up.
func (s *Store) find() *TableIDs {
	id := func(name string) fsm.TableID {
		t, _ := s.store.Table(Owner, name)
		return t.ID
	}
	t := &TableIDs{Head: id(TableHead), Variant: id(TableVariant), Version: id(TableVersion), Quota: id(TableQuota)}
	if t.Head != 0 {
		s.tables.Store(t)
	}
	return t
}

// IDs returns the ids of the tables.
func (s *Store) IDs() *TableIDs {
	if t := s.tables.Load(); t != nil {
		return t
	}
	return s.find()
}

// Head returns the local head of an item, nil when absent.
func (s *Store) Head(k configstore.Key) *configstore.Head {
	var room [keyRoom]byte
	_, h := s.lookup(ItemKey(room[:0], k))
	return h
}

// lookup returns the row of an item and its head, nil when absent.
func (s *Store) lookup(key []byte) (*kv.Record, *configstore.Head) {
	row, h := s.catalog.find(key)
	if row == nil || h != nil {
		return row, h
	}
	return row, s.catalog.keep(row, s.read(s.store.Root(), row))
}

// read decodes a head with its variants as of a root, unless there is one in the
// cache. Since every change of a variant is one of the head too (CTR-M20), a head
// that is still the present one has the right variants.
func (s *Store) read(root *store.Root, row *kv.Record) *configstore.Head {
	if stamp, _, err := header(row.Value); err == nil {
		if item := s.cache.peek(stamp); item != nil && item.Head.Revision == row.Modified {
			return item.Head
		}
	}
	r := new(reader)
	if err := r.row(row); err != nil {
		s.misread(row, err) // cannot be: it was read when it came into the catalog
		return nil
	}
	r.head.Variants = s.variants(root, row.Key)
	return &r.head
}

// variants returns those of the item with a key, in the order of resolution.
func (s *Store) variants(root *store.Root, key []byte) (vs []*configstore.Variant) {
	ids := s.IDs()
	if root.Changed(ids.Variant) == 0 {
		return nil // nobody has any
	}
	root.Scan(fsm.AppendKey(nil, ids.Variant, key), nil, false, func(r *kv.Record) bool {
		_, name, err := variantName(r.Key)
		var v *configstore.Variant
		if err == nil {
			v, err = decodeVariant(name, r.Value)
		}
		if err != nil {
			return true // was told when it was applied
		}
		vs = insertVariant(vs, v)
		return true
	})
	return vs
}

// Counts returns the number of items per namespace.
func (s *Store) Counts() map[string]int64 {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	out := make(map[string]int64, len(s.catalog.spaces))
	for namespace, n := range s.catalog.spaces {
		out[namespace] = *n
	}
	return out
}

// Heads implements configstore.Configs.
func (s *Store) Heads(_ context.Context, keys []configstore.Key, dst []*configstore.Head) ([]*configstore.Head, error) {
	dst = dst[:0]
	for i := range keys {
		dst = append(dst, s.Head(keys[i]))
	}
	return dst, nil
}

// Get implements configstore.Configs.
func (s *Store) Get(_ context.Context, k configstore.Key, labels configstore.Pairs) (*configstore.Item, error) {
	// A version may be dropped between looking at the head and reading it; then
	// there is a newer head.
	var room [keyRoom]byte
	key := ItemKey(room[:0], k)
	for {
		row, h := s.lookup(key)
		if h == nil {
			return nil, kv.ErrNotFound
		}
		v := h.Resolve(labels)
		if v == nil && !h.Formal {
			return nil, kv.ErrNotFound
		}
		item, err := s.current(h, v)
		if !errors.Is(err, kv.ErrNotFound) {
			return item, err
		}
		if now, _ := s.catalog.find(key); now == row {
			return item, err
		}
	}
}

// current returns the item of a head or of one of its variants.
func (s *Store) current(h *configstore.Head, v *configstore.Variant) (*configstore.Item, error) {
	stamp := h.Version
	if v != nil {
		stamp = v.Version
	}
	if item := s.cache.get(stamp); item != nil && item.Head == h && item.Variant == v {
		return item, nil
	}
	content, err := s.content(h.Key, stamp)
	if err != nil {
		return nil, err
	}
	return s.cache.put(stamp, &configstore.Item{Head: h, Variant: v, Content: content}), nil
}

// content reads the bytes of a version.
func (s *Store) content(k configstore.Key, v kv.Stamp) ([]byte, error) {
	if item := s.cache.get(v); item != nil {
		return item.Content, nil // of an older head, for the same version
	}
	ver, err := s.version(k, v)
	if err != nil {
		return nil, err
	}
	return slices.Clone(ver.content), nil // the row may be a part of something larger
}

// version reads one row of the history.
func (s *Store) version(k configstore.Key, v kv.Stamp) (version, error) {
	rec, err := s.store.ColdGet(VersionKey(fsm.AppendKey(nil, s.IDs().Version, nil), k, v))
	if err != nil {
		return version{}, fmt.Errorf("read config version: %w", err)
	}
	if rec == nil {
		return version{}, kv.ErrNotFound
	}
	return decodeVersion(rec.Key, rec.Value)
}
