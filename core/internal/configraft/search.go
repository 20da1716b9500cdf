package configraft

import (
	"bytes"
	"context"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

// defaultLimit is the size of a page that names none.
const defaultLimit = 1000

// Search implements configstore.Configs. It walks the heads in key order.
func (s *Store) Search(ctx context.Context, q configstore.Query) (configstore.Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, kv.MaxPage)
	root := s.store.Root()
	id := s.IDs().Head
	prefix := fsm.AppendKey(nil, id, nil)
	from := ItemKey(slices.Clone(prefix), q.From)
	if !q.AllSpaces {
		prefix = tuple.AppendString(prefix, q.Namespace)
	}
	w := search{store: s, root: root, query: &q, limit: limit}
	root.Scan(prefix, from, false, func(row *kv.Record) bool {
		if w.err = ctx.Err(); w.err != nil {
			return false
		}
		return w.visit(row)
	})
	if !q.CountTotal {
		w.page.Total = 0
	}
	return w.page, w.err
}

// search is one walk over the rows of heads.
type search struct {
	store   *Store
	root    *store.Root
	query   *configstore.Query
	limit   int
	page    configstore.Page
	err     error
	scratch reader
}

// visit judges one row and returns false when that was enough.
func (w *search) visit(row *kv.Record) bool {
	k, err := lentKey(row.Key)
	if err != nil || !matchKey(w.query, &k) {
		return true
	}
	if restricted(w.query) && (w.scratch.row(row) != nil || !matchHead(w.query, &w.scratch.head)) {
		return true
	}
	var h *configstore.Head
	if w.query.Text != "" || len(w.page.Heads) < w.limit {
		if h = w.store.read(w.root, row); h == nil {
			return true
		}
	}
	if w.query.Text != "" {
		ok, err := w.store.contains(h, w.query.Text)
		if w.err = err; err != nil || !ok {
			return err == nil
		}
	}
	w.page.Total++
	if len(w.page.Heads) < w.limit {
		w.page.Heads = append(w.page.Heads, h)
		return true
	}
	if w.page.Next == nil {
		next := k // k itself stays off the heap
		w.page.Next = &next
	}
	return w.query.CountTotal
}

// contains looks into the formal content of an item.
func (s *Store) contains(h *configstore.Head, text string) (bool, error) {
	if !h.Formal {
		return false, nil
	}
	item, err := s.current(h, nil)
	if err != nil {
		return false, err
	}
	return bytes.Contains(item.Content, []byte(text)), nil
}

// matchKey judges what a key alone tells.
func matchKey(q *configstore.Query, k *configstore.Key) bool {
	return (q.AllSpaces || k.Namespace == q.Namespace) &&
		configstore.MatchPattern(q.Group, k.Group) && configstore.MatchPattern(q.Name, k.Name)
}

// restricted says whether more than the key counts.
func restricted(q *configstore.Query) bool {
	return q.App != "" || q.Owner != "" || len(q.Tags) > 0 || len(q.Types) > 0
}

func matchHead(q *configstore.Query, h *configstore.Head) bool {
	if q.App != "" && h.App != q.App || q.Owner != "" && h.Owner != q.Owner {
		return false
	}
	if len(q.Types) > 0 && !slices.Contains(q.Types, h.Type) {
		return false
	}
	if len(q.Tags) == 0 {
		return true
	}
	has := func(t string) bool { return slices.Contains(h.Tags, t) }
	if q.AllTags {
		return !slices.ContainsFunc(q.Tags, func(t string) bool { return !has(t) })
	}
	return slices.ContainsFunc(q.Tags, has)
}
