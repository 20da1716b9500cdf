package compile

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// plan is a compiled batch: registry operations first, then configs. Its memory
// is used for one batch after another; only outcomes and blocked are handed out.
type plan struct {
	base     int // how many registry operations there are
	guards   []kv.Compare
	ops      []kv.Op
	counts   []kv.Op // of counters, behind ops
	quotas   []quota // in the order of their Adds
	blocked  []txn.Blocked
	outcomes []configstore.Outcome // Version is the seq + 1 until the revision is known

	ids     *configraft.TableIDs
	arena   []byte // keys and values of rows
	txn     fsm.Txn
	planner planner
	first   draft
}

// quota is what an Add of a new item keeps.
type quota struct {
	add         int // index into the plan's ops
	op          int // the config operation that it refuses
	scope       configstore.Scope
	used, limit int64
}

// quotaAt returns the quota of an Add of the plan; one that gives back has only
// the range of its counter.
func (p *plan) quotaAt(add int) quota {
	i, found := slices.BinarySearchFunc(p.quotas, add, func(q quota, add int) int { return cmp.Compare(q.add, add) })
	if !found {
		return quota{add: add, limit: math.MaxInt64}
	}
	return p.quotas[i]
}

// begin starts an absolute key in the arena, and cut ends it; what is appended
// between is the caller's part. Keys that were cut stay where they are when the
// arena moves.
func (p *plan) begin(id fsm.TableID) (at int) {
	at = len(p.arena)
	p.arena = fsm.AppendKey(p.arena, id, nil)
	return at
}

func (p *plan) cut(at int) []byte { return slices.Clip(p.arena[at:]) }

// plan compiles a batch on the local state.
func (c *Committer) plan(ctx context.Context, b *txn.Batch) (*plan, error) {
	p, ok := c.plans.Get().(*plan)
	if !ok {
		p = new(plan)
	}
	p.base, p.ids = len(b.Registry), c.Configs.IDs()
	return p, c.compile(ctx, p, b)
}

func (c *Committer) compile(ctx context.Context, p *plan, b *txn.Batch) error {
	now := c.Now()
	if len(b.Registry) > 0 {
		en := &enroller{committer: c, ctx: ctx, now: now, plan: p, rows: map[string]*entry{}}
		for i := range b.Registry {
			if err := p.refuse(i, en.op(&b.Registry[i])); err != nil {
				return err
			}
		}
	}
	if len(b.Configs) == 0 {
		return nil
	}
	p.outcomes = make([]configstore.Outcome, len(b.Configs))
	pl := &p.planner
	pl.committer, pl.plan, pl.by, pl.now, pl.limits = c, p, b.Actor, now.UnixMilli(), c.Configs.Limits()
	for i := range b.Configs {
		if err := p.refuse(p.base+i, pl.op(i, &b.Configs[i])); err != nil {
			return err
		}
	}
	return pl.finish()
}

const (
	// keptBytes and keptRows bound what a plan keeps for the next batch.
	keptBytes = 64 << 10
	keptRows  = 64
)

// release gives a plan back. Nothing of it may be in use.
func (c *Committer) release(p *plan) {
	p.guards, p.ops, p.counts, p.quotas = emptied(p.guards), emptied(p.ops), emptied(p.counts), emptied(p.quotas)
	p.blocked, p.outcomes, p.txn = nil, nil, fsm.Txn{}
	p.planner, p.first = planner{items: emptied(p.planner.items)}, draft{}
	if p.arena = p.arena[:0]; cap(p.arena) > keptBytes {
		p.arena = nil
	}
	c.plans.Put(p)
}

// emptied keeps the memory of a slice that is not large.
func emptied[T any](s []T) []T {
	if cap(s) > keptRows {
		return nil
	}
	clear(s)
	return s[:0]
}

// refuse notes an error that is a refusal of one operation, and returns others.
func (p *plan) refuse(op int, err error) error {
	if err != nil && blocks(err) {
		p.blocked = append(p.blocked, txn.Blocked{Op: op, Cause: err})
		return nil
	}
	return err
}

// blocks says whether an error is a refusal of one operation.
func blocks(err error) bool {
	var guard *configstore.GuardError
	var over *configstore.QuotaError
	return errors.As(err, &guard) || errors.As(err, &over) || errors.Is(err, kv.ErrForeign) ||
		errors.Is(err, kv.ErrConflict) || errors.Is(err, registry.ErrEphemeral)
}
