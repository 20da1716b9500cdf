package catalog

import (
	"fmt"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// complete checks registrations, and completes those of which the caller left
// something out in a copy.
func complete(rs []registry.Registration) ([]registry.Registration, error) {
	copied := false
	for i := range rs {
		r := rs[i]
		if err := CheckInstance(&r); err != nil {
			return nil, fmt.Errorf("registration %d: %w", i, err)
		}
		was := &rs[i]
		switch {
		case r.Status == was.Status && r.ID == was.ID && identical(r.Meta, was.Meta) && identical(r.Addrs, was.Addrs):
			continue
		case !copied:
			rs, copied = slices.Clone(rs), true
		}
		rs[i] = r
	}
	return rs, nil
}

// identical says that two sets are one slice.
func identical(a, b registry.Pairs) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// room checks how many instances a publisher and this member would have. What is
// registered again takes no more room, so that clients can always come back.
func (e *Engine) room(p *publisher, mode registry.Mode, rs []registry.Registration) error {
	have := p.len()
	if e.instances+len(rs) <= e.most && have+len(rs) <= registry.MaxPublish {
		return nil
	}
	switch added := e.added(p, mode, rs); {
	case added > 0 && have+added > registry.MaxPublish:
		return tooLarge("instances of a publisher", have+added, registry.MaxPublish)
	case added > 0 && e.instances+added > e.most:
		return fmt.Errorf("%d instances on this member: %w", e.instances, kv.ErrOverloaded)
	}
	return nil
}

// added is how many instances a publisher would have more than it has; one that
// is named twice counts twice.
func (e *Engine) added(p *publisher, mode registry.Mode, rs []registry.Registration) (n int) {
	seen := map[*service]bool{}
	for i := range rs {
		s := e.find(&rs[i].Service)
		switch {
		case s == nil:
			n++
		case mode == registry.ReplaceService:
			if !seen[s] {
				seen[s] = true
				n -= len(p.in(s))
			}
			n++
		case p.find(&ident{s, rs[i].Subset, rs[i].ID, rs[i].Host, rs[i].Port}) == nil:
			n++
		}
	}
	return n
}
