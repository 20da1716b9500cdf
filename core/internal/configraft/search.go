package configraft

import (
	"bytes"
	"context"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
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
	start := q.From
	if !q.AllSpaces && compareKeys(&start, &configstore.Key{Namespace: q.Namespace}) < 0 {
		start = configstore.Key{Namespace: q.Namespace}
	}
	var (
		page   configstore.Page
		failed error
	)
	s.catalog.sorted.Copy().Ascend(&configstore.Head{Key: start}, func(h *configstore.Head) bool {
		if !q.AllSpaces && h.Key.Namespace != q.Namespace {
			return false
		}
		if failed = ctx.Err(); failed != nil {
			return false
		}
		ok, err := s.matches(&q, h)
		if failed = err; err != nil || !ok {
			return err == nil
		}
		page.Total++
		if len(page.Heads) < limit {
			page.Heads = append(page.Heads, h)
			return true
		}
		if page.Next == nil {
			page.Next = &h.Key
		}
		return q.CountTotal
	})
	if !q.CountTotal {
		page.Total = 0
	}
	return page, failed
}

func (s *Store) matches(q *configstore.Query, h *configstore.Head) (bool, error) {
	if !matchKey(q, &h.Key) || !matchHead(q, h) {
		return false, nil
	}
	if q.Text == "" {
		return true, nil
	}
	if !h.Formal {
		return false, nil
	}
	item, err := s.current(h, nil)
	if err != nil {
		return false, err
	}
	return bytes.Contains(item.Content, []byte(q.Text)), nil
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
