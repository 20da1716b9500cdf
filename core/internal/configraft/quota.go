package configraft

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

// Rows of the quota table: what a scope holds, a counter, and what it may hold.
const (
	quotaUsed  = "u"
	quotaLimit = "l"
)

// UsedKey is the key of the counter of a scope.
func UsedKey(s configstore.Scope) []byte { return quotaKey(quotaUsed, s) }

// LimitKey is the key of the limits of a scope.
func LimitKey(s configstore.Scope) []byte { return quotaKey(quotaLimit, s) }

func quotaKey(kind string, s configstore.Scope) []byte {
	return appendQuotaKey(make([]byte, 0, len(kind)+len(s.Namespace)+len(s.Group)+8), kind, s)
}

func appendQuotaKey(dst []byte, kind string, s configstore.Scope) []byte {
	return tuple.AppendString(tuple.AppendString(tuple.AppendString(dst, kind), s.Namespace), s.Group)
}

// EncodeLimit renders the limits of a scope.
func EncodeLimit(l configstore.Limit) []byte {
	b := binary.BigEndian.AppendUint64([]byte{rowFormat}, uint64(l.Items))
	return binary.BigEndian.AppendUint64(b, uint64(l.MaxSize))
}

// Usage implements configstore.Configs.
func (s *Store) Usage(_ context.Context, scope configstore.Scope) (configstore.Usage, error) {
	u := configstore.Usage{Scope: scope}
	root := s.store.Root()
	if r := root.Get(fsm.AppendKey(nil, s.tables.quota, UsedKey(scope))); r != nil && len(r.Value) == 8 {
		u.Items = int64(binary.BigEndian.Uint64(r.Value))
	}
	limit, err := s.limit(root, scope)
	u.Quota, u.MaxSize = limit.Items, limit.MaxSize
	return u, err
}

// Limit returns the limits of a scope, zeros when it has none.
func (s *Store) Limit(scope configstore.Scope) (configstore.Limit, error) {
	return s.limit(s.store.Root(), scope)
}

// keyRoom holds usual keys without an allocation.
const keyRoom = 128

func (s *Store) limit(root *store.Root, scope configstore.Scope) (configstore.Limit, error) {
	var room [keyRoom]byte
	l := configstore.Limit{Scope: scope}
	abs := appendQuotaKey(fsm.AppendKey(room[:0], s.tables.quota, nil), quotaLimit, scope)
	var err error
	l.Items, l.MaxSize, err = limits(root.Get(abs))
	return l, err
}

func limits(r *kv.Record) (items, size int64, err error) {
	if r == nil {
		return 0, 0, nil
	}
	if len(r.Value) != 17 || r.Value[0] != rowFormat {
		return 0, 0, fmt.Errorf("read quota: %w", errRow)
	}
	return int64(binary.BigEndian.Uint64(r.Value[1:])), int64(binary.BigEndian.Uint64(r.Value[9:])), nil
}
