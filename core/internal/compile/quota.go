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
		Kind: kv.Put, Table: configraft.TableQuota, Key: configraft.LimitKey(l.Scope), Value: configraft.EncodeLimit(*l), SkipEqual: true,
	}, kv.Op{
		Kind: kv.Touch, Table: configraft.TableQuota, Key: configraft.ChangedKey(), IfChanged: true,
	})
	p.limited = slices.DeleteFunc(p.limited, func(s configstore.Scope) bool { return s == l.Scope })
	if l.Items > 0 {
		p.limited = append(p.limited, l.Scope)
	}
	p.plan.outcomes[i].Changed = true
}

// recount makes the counters of limited scopes right, behind all rows of the batch.
func (p *planner) recount() error {
	for _, s := range p.limited {
		heads, err := p.committer.Core.Table(configraft.TableHead)
		if err != nil {
			return err
		}
		counters, err := p.committer.Core.Table(configraft.TableQuota)
		if err != nil {
			return err
		}
		p.plan.counts = append(p.plan.counts, kv.Op{
			Kind: fsm.Count, Key: fsm.AppendKey(nil, counters.ID, configraft.UsedKey(s)),
			Value: fsm.AppendKey(nil, heads.ID, configraft.HeldPrefix(s)),
		})
	}
	return nil
}

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
		Kind: kv.Add, Table: configraft.TableQuota, Key: configraft.UsedKey(s), Delta: delta, Min: least, Max: most,
	})
}

// guardLimits makes sure that the batch counts by the limits that hold when it is
// applied.
func (p *planner) guardLimits() {
	if p.guarded {
		return
	}
	p.guarded = true
	p.plan.guards = append(p.plan.guards, kv.Compare{
		Table: configraft.TableQuota, Key: configraft.ChangedKey(), Target: kv.Modified, Rel: kv.Equal, Num: uint64(p.limits.Changed),
	})
}
