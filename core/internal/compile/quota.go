package compile

import (
	"math"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// limit sets the limits of a scope. Everybody who looked at the limits before
// compiles again.
func (p *planner) limit(i int, l *configstore.Limit) {
	p.plan.ops = append(p.plan.ops, kv.Op{
		Kind: kv.Put, Key: configraft.LimitKey(p.quotaRow(), l.Scope), Value: configraft.AppendLimit(nil, l), SkipEqual: true,
	}, kv.Op{
		Kind: kv.Touch, Key: configraft.ChangedKey(p.quotaRow()), IfChanged: true,
	})
	p.limited = slices.DeleteFunc(p.limited, func(s configstore.Scope) bool { return s == l.Scope })
	if l.Items > 0 {
		p.limited = append(p.limited, l.Scope)
	}
	p.plan.outcomes[i].Changed = true
}

// recount makes the counters of limited scopes right, behind all rows of the batch.
func (p *planner) recount() {
	for _, s := range p.limited {
		p.plan.counts = append(p.plan.counts, kv.Op{
			Kind: fsm.Count, Key: configraft.UsedKey(p.quotaRow(), s),
			Value: configraft.HeldPrefix(fsm.AppendKey(nil, p.plan.ids.Head, nil), s),
		})
	}
}

// quotaRow begins a key of the table of quotas.
func (p *planner) quotaRow() []byte { return fsm.AppendKey(nil, p.plan.ids.Quota, nil) }

// scopes are those that an item counts in.
func scopes(k *configstore.Key) [2]configstore.Scope {
	return [...]configstore.Scope{{Namespace: k.Namespace}, {Namespace: k.Namespace, Group: k.Group}}
}

// quota checks the size, and counts a new item.
func (p *planner) quota(i int, d *draft, size int64) error {
	counts := d.was == nil && !d.counted
	if counts {
		p.guardLimits()
	}
	if p.limits.Changed == 0 {
		return nil
	}
	for _, s := range scopes(&d.key) {
		limit, err := p.limits.Of(s)
		if err != nil {
			return err
		}
		if limit.MaxSize > 0 && size > limit.MaxSize {
			return &configstore.QuotaError{Scope: s, What: "size", Used: size, Limit: limit.MaxSize}
		}
		if counts && limit.Items > 0 {
			p.plan.quotas = append(p.plan.quotas, quota{
				add: len(p.plan.ops), op: i, scope: s, used: p.limits.Used(s), limit: limit.Items,
			})
			p.add(s, 1, 0, limit.Items)
		}
	}
	return nil
}

// uncount gives back what an item that goes had counted.
func (p *planner) uncount(d *draft) error {
	p.guardLimits()
	if p.limits.Changed == 0 {
		return nil
	}
	for _, s := range scopes(&d.key) {
		limit, err := p.limits.Of(s)
		if err != nil {
			return err
		}
		if limit.Items > 0 {
			p.add(s, -1, math.MinInt64, math.MaxInt64)
		}
	}
	return nil
}

func (p *planner) add(s configstore.Scope, delta, least, most int64) {
	p.plan.ops = append(p.plan.ops, kv.Op{
		Kind: kv.Add, Key: configraft.UsedKey(p.quotaRow(), s), Delta: delta, Min: least, Max: most,
	})
}

// guardLimits makes sure that the batch counts by the limits that hold when it is
// applied.
func (p *planner) guardLimits() {
	if p.guarded {
		return
	}
	p.guarded = true
	at := p.plan.begin(p.plan.ids.Quota)
	p.plan.arena = configraft.ChangedKey(p.plan.arena)
	p.plan.guards = append(p.plan.guards, kv.Compare{
		Key: p.plan.cut(at), Target: kv.Modified, Rel: kv.Equal, Num: uint64(p.limits.Changed),
	})
}
