package configraft

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

const defaultHistory = 100

// History implements configstore.Configs: the versions of one item newest
// first, or of all items of a group or namespace, item by item.
func (s *Store) History(_ context.Context, q configstore.HistoryQuery) ([]configstore.Entry, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultHistory
	}
	limit = min(limit, kv.MaxPage)
	prefix := tuple.AppendString(nil, q.Key.Namespace)
	if q.Key.Group != "" {
		prefix = tuple.AppendString(prefix, q.Key.Group)
	}
	if q.Key.Name != "" {
		prefix = tuple.AppendString(prefix, q.Key.Name)
	}
	var (
		out    []configstore.Entry
		last   configstore.Key
		failed error
	)
	err := s.store.ColdScan(fsm.AppendKey(nil, s.IDs().Version, prefix), nil, true, func(r *kv.Record) bool {
		v, err := decodeVersion(r.Key, r.Value)
		if err != nil {
			failed = err
			return false
		}
		newest := len(out) == 0 && last == (configstore.Key{}) || v.Key != last
		last = v.Key
		switch {
		case q.Before != 0 && v.Version >= q.Before:
		case q.Deleted && (!newest || v.Kind != configstore.KindDelete):
		default:
			out = append(out, v.Entry)
		}
		return len(out) < limit
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("read config history: %w", err)
	}
	return out, nil
}

// At implements configstore.Configs.
func (s *Store) At(_ context.Context, k configstore.Key, v kv.Stamp) (*configstore.Item, error) {
	ver, err := s.version(k, v)
	if err != nil {
		return nil, err
	}
	h := &configstore.Head{
		Key: k, Digest: ver.Digest, Size: ver.Size, Formal: ver.Variant == "", Type: ver.Type, App: ver.App,
		Desc: ver.desc, Tags: ver.tags, Cipher: ver.Cipher, Modified: ver.At, Version: v, Revision: v.Revision(),
	}
	item := &configstore.Item{Head: h, Content: ver.content}
	if ver.Variant != "" {
		item.Variant = &configstore.Variant{
			Name: ver.Variant, Digest: ver.Digest, Size: ver.Size, Version: v, Type: ver.Type,
			Cipher: ver.Cipher, Actor: ver.Actor, Modified: ver.At,
		}
		if ver.Rule != nil {
			item.Variant.Rule = *ver.Rule
		}
	}
	return item, nil
}
