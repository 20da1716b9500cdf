package configraft

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	texts   texts                    // of the goroutine that applies
	tables  atomic.Pointer[TableIDs] // nil: not declared when somebody last looked
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

// Rebuild implements store.Observer.
func (s *Store) Rebuild(st *store.Store) error {
	s.catalog.reset()
	s.ring.reset(st.Root().Revision())
	if s.find().Head == 0 {
		return nil
	}
	var failed error
	st.Root().Scan(fsm.AppendKey(nil, s.IDs().Head, nil), nil, false, func(r *kv.Record) bool {
		h, err := s.headOf(r)
		if err != nil {
			failed = fmt.Errorf("read config head %q: %w", r.Key, err)
			return false
		}
		s.catalog.put(h)
		return true
	})
	st.Root().Scan(fsm.AppendKey(nil, s.IDs().Variant, nil), nil, false, func(r *kv.Record) bool {
		if err := s.addVariant(r); err != nil {
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

func (s *Store) headOf(r *kv.Record) (*configstore.Head, error) {
	k, err := s.texts.key(r.Key)
	if err != nil {
		return nil, err
	}
	h, err := s.texts.decodeHead(r.Value)
	if err != nil {
		return nil, err
	}
	h.Key, h.Revision = k, r.Modified
	return h, nil
}

// addVariant is for Rebuild, where nobody reads yet.
func (s *Store) addVariant(r *kv.Record) error {
	k, name, err := variantName(r.Key)
	if err != nil {
		return err
	}
	v, err := decodeVariant(name, r.Value)
	if err != nil {
		return err
	}
	if h := s.catalog.head(k); h != nil {
		h.Variants = insertVariant(h.Variants, v)
	}
	return nil
}

// Head returns the local head of an item, nil when absent.
func (s *Store) Head(k configstore.Key) *configstore.Head { return s.catalog.head(k) }

// Counts returns the number of items per namespace.
func (s *Store) Counts() map[string]int64 {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	out := make(map[string]int64, len(s.catalog.spaces))
	maps.Copy(out, s.catalog.spaces)
	return out
}

// Heads implements configstore.Configs.
func (s *Store) Heads(_ context.Context, keys []configstore.Key, dst []*configstore.Head) ([]*configstore.Head, error) {
	dst = dst[:0]
	for i := range keys {
		dst = append(dst, s.catalog.head(keys[i]))
	}
	return dst, nil
}

// Get implements configstore.Configs.
func (s *Store) Get(_ context.Context, k configstore.Key, labels configstore.Pairs) (*configstore.Item, error) {
	// A version may be dropped between looking at the head and reading it; then
	// there is a newer head.
	for {
		h := s.catalog.head(k)
		if h == nil {
			return nil, kv.ErrNotFound
		}
		v := h.Resolve(labels)
		if v == nil && !h.Formal {
			return nil, kv.ErrNotFound
		}
		item, err := s.current(h, v)
		if !errors.Is(err, kv.ErrNotFound) || s.catalog.head(k) == h {
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
