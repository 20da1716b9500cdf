package scope

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// view is one pinned root.
type view struct {
	scope       *Scope
	root        *store.Root
	consistency kv.Consistency
}

var _ kv.View = (*view)(nil)

func (v *view) Revision() kv.Revision       { return v.root.Revision() }
func (v *view) Consistency() kv.Consistency { return v.consistency }

func (v *view) Get(_ context.Context, table string, key []byte) (*kv.Record, error) {
	return v.scope.get(v.root, table, key)
}

func (v *view) Changed(_ context.Context, table string) (kv.Revision, error) {
	t, err := v.scope.Table(table)
	if err != nil {
		return 0, err
	}
	return v.root.Changed(t.ID), nil
}

// defaultLimit is the size of a page that names none.
const defaultLimit = 1000

func (v *view) Range(_ context.Context, r kv.Range) (kv.Page, error) {
	t, err := v.scope.Table(r.Table)
	if err != nil {
		return kv.Page{}, err
	}
	limit := r.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, kv.MaxPage)
	var (
		page   kv.Page
		prefix = fsm.AppendKey(nil, t.ID, r.Prefix)
		from   []byte
	)
	if r.From != nil {
		from = fsm.AppendKey(nil, t.ID, r.From)
	}
	collect := func(rec *kv.Record) bool {
		if len(page.Records) == limit {
			page.Next = rec.Key
			return false
		}
		page.Newest = max(page.Newest, rec.Modified)
		if r.KeysOnly {
			rec = &kv.Record{Key: rec.Key, Created: rec.Created, Modified: rec.Modified, Version: rec.Version, Lease: rec.Lease}
		}
		page.Records = append(page.Records, rec)
		return true
	}
	if t.Residency == kv.Cold {
		if err := v.scope.store.ColdScan(prefix, from, r.Descending, collect); err != nil {
			return kv.Page{}, fmt.Errorf("read %s: %w", r.Table, err)
		}
		return page, nil
	}
	v.root.Scan(prefix, from, r.Descending, collect)
	return page, nil
}
