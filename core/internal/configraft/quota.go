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

// Rows of the quota table: what a scope may hold and, where items are limited,
// how many it holds, a counter. One row more moves with every change of a limit.
//
// Most scopes have no limit, and nobody counts there. Whoever adds or takes away
// an item has looked at the limits and guards on that row, so that nobody counts,
// or leaves it, by limits that are no longer true; who sets a limit counts the
// rows in the same transaction.
const (
	quotaUsed    = "u"
	quotaLimit   = "l"
	quotaChanged = "c"
)

// ChangedKey appends the key of the row that moves with every change of a limit.
// While it is absent there has never been one.
func ChangedKey(dst []byte) []byte { return append(dst, quotaChanged...) }

// UsedKey appends the key of the counter of a scope.
func UsedKey(dst []byte, s configstore.Scope) []byte { return appendQuotaKey(dst, quotaUsed, s) }

// LimitKey appends the key of the limits of a scope.
func LimitKey(dst []byte, s configstore.Scope) []byte { return appendQuotaKey(dst, quotaLimit, s) }

func appendQuotaKey(dst []byte, kind string, s configstore.Scope) []byte {
	return tuple.AppendString(tuple.AppendString(tuple.AppendString(dst, kind), s.Namespace), s.Group)
}

// AppendLimit appends the row of the limits of a scope.
func AppendLimit(dst []byte, l *configstore.Limit) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowFormat), uint64(l.Items))
	return binary.BigEndian.AppendUint64(dst, uint64(l.MaxSize))
}

// HeldPrefix appends the prefix of the heads in a scope.
func HeldPrefix(dst []byte, s configstore.Scope) []byte {
	dst = tuple.AppendString(dst, s.Namespace)
	if s.Group != "" {
		dst = tuple.AppendString(dst, s.Group)
	}
	return dst
}

// Usage implements configstore.Configs.
func (s *Store) Usage(_ context.Context, scope configstore.Scope) (configstore.Usage, error) {
	l := s.Limits()
	limit, err := l.Of(scope)
	if err != nil {
		return configstore.Usage{}, err
	}
	return configstore.Usage{Scope: scope, Items: l.held(&limit), Quota: limit.Items, MaxSize: limit.MaxSize}, nil
}

// Limits are the limits at one moment.
type Limits struct {
	// Changed is the revision of the last change, 0 for none.
	Changed kv.Revision

	store *Store
	root  *store.Root
}

// Limits returns the present limits.
func (s *Store) Limits() Limits {
	var room [keyRoom]byte
	l := Limits{store: s, root: s.store.Root()}
	if r := l.root.Get(ChangedKey(fsm.AppendKey(room[:0], s.IDs().Quota, nil))); r != nil {
		l.Changed = r.Modified
	}
	return l
}

// Of returns the limits of a scope, zeros when it has none.
func (l *Limits) Of(scope configstore.Scope) (configstore.Limit, error) {
	out := configstore.Limit{Scope: scope}
	if l.Changed == 0 {
		return out, nil
	}
	var (
		room [keyRoom]byte
		err  error
	)
	abs := LimitKey(fsm.AppendKey(room[:0], l.store.IDs().Quota, nil), scope)
	out.Items, out.MaxSize, err = limits(l.root.Get(abs))
	return out, err
}

// Used returns the counter of a scope that is limited in items.
func (l *Limits) Used(scope configstore.Scope) int64 {
	var room [keyRoom]byte
	r := l.root.Get(UsedKey(fsm.AppendKey(room[:0], l.store.IDs().Quota, nil), scope))
	if r == nil || len(r.Value) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(r.Value))
}

// held is the number of items in a scope. Where nobody counts, it looks.
func (l *Limits) held(limit *configstore.Limit) (n int64) {
	if limit.Items > 0 {
		return l.Used(limit.Scope)
	}
	l.root.Scan(HeldPrefix(fsm.AppendKey(nil, l.store.IDs().Head, nil), limit.Scope), nil, false, func(*kv.Record) bool {
		n++
		return true
	})
	return n
}

// keyRoom holds usual keys without an allocation.
const keyRoom = 128

func limits(r *kv.Record) (items, size int64, err error) {
	if r == nil {
		return 0, 0, nil
	}
	if len(r.Value) != 17 || r.Value[0] != rowFormat {
		return 0, 0, fmt.Errorf("read quota: %w", errRow)
	}
	return int64(binary.BigEndian.Uint64(r.Value[1:])), int64(binary.BigEndian.Uint64(r.Value[9:])), nil
}
