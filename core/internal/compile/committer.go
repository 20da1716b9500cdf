package compile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// maxAttempts bounds the recompilations of one batch.
const maxAttempts = 16

// Committer implements txn.Committer for one owner.
type Committer struct {
	Owner    string
	Own      *scope.Scope // the owner's tables
	Core     *scope.Scope // core's tables
	Node     scope.Node
	Configs  *configraft.Store
	Registry *catalog.Engine
	Now      func() time.Time
}

var _ txn.Committer = (*Committer)(nil)

// Commit implements txn.Committer.
func (c *Committer) Commit(ctx context.Context, b txn.Batch) (txn.Result, error) {
	if len(b.Registry)+len(b.Configs) == 0 {
		res, err := c.Own.Commit(ctx, b.KV)
		return txn.Result{Result: res}, err
	}
	if n := len(b.Registry) + len(b.Configs) + len(b.KV.If) + len(b.KV.Then) + len(b.KV.Else); n > kv.MaxOps {
		return txn.Result{}, fmt.Errorf("commit of %d operations: %w", n, kv.ErrTooLarge)
	}
	own, err := c.Own.Resolve(b.KV)
	if err != nil {
		return txn.Result{}, err
	}
	confirmed := false
	for attempt := 1; ; attempt++ {
		p, err := c.plan(ctx, &b)
		if err != nil {
			return txn.Result{}, err
		}
		if len(p.blocked) > 0 {
			if confirmed {
				return txn.Result{Blocked: p.blocked}, nil
			}
			if _, err := c.Node.Barrier(ctx, kv.Linearizable); err != nil {
				return txn.Result{}, fmt.Errorf("commit: %w", err)
			}
			confirmed = true
			continue
		}
		res, again, err := c.try(ctx, p, own)
		if err != nil || !again {
			return res, err
		}
		if attempt == maxAttempts {
			return txn.Result{}, fmt.Errorf("commit: %d times overtaken: %w", attempt, kv.ErrConflict)
		}
		if err := pause(ctx, attempt); err != nil {
			return txn.Result{}, err
		}
	}
}

// try proposes a plan with the caller's rows; again says that the state it was
// made on has moved.
func (c *Committer) try(ctx context.Context, p *plan, own kv.Txn) (res txn.Result, again bool, err error) {
	rows, err := c.Core.Resolve(kv.Txn{If: p.guards, Then: p.ops})
	if err != nil {
		return res, false, err
	}
	rows.Then = append(rows.Then, p.counts...)
	if len(rows.If)+len(rows.Then)+len(own.If)+len(own.Then)+len(own.Else) > kv.MaxCompiled {
		return res, false, fmt.Errorf("commit: compiled: %w", kv.ErrTooLarge)
	}
	out, err := c.Node.Propose(ctx, &fsm.Txn{
		Guards: rows.If, If: own.If, Then: append(rows.Then, own.Then...), Else: own.Else,
	})
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return res, false, fmt.Errorf("commit: %w", err)
	}
	if len(out.Guards) > 0 {
		return res, true, nil
	}
	res.Result = out.Result
	if !out.Result.Committed {
		return c.refused(res, p, len(own.If)), false, nil
	}
	res.Configs = p.outcomes
	for i := range res.Configs {
		if o := &res.Configs[i]; o.Version != 0 {
			o.Version = kv.NewStamp(out.Result.Revision, uint16(o.Version-1))
		}
	}
	return res, false, nil
}

// refused translates the indices of a refusal back to what the caller wrote. An
// Add that left its bounds and is not the caller's is a quota.
func (c *Committer) refused(res txn.Result, p *plan, compares int) txn.Result {
	var failed []int
	for _, i := range res.Failed {
		switch {
		case i < compares:
			failed = append(failed, i)
		case i-compares >= len(p.ops)+len(p.counts):
			failed = append(failed, i-len(p.ops)-len(p.counts))
		default:
			q := p.quotaAt(i - compares)
			res.Blocked = append(res.Blocked, txn.Blocked{Op: p.base + q.op, Cause: &configstore.QuotaError{
				Scope: q.scope, What: "items", Used: q.used, Limit: q.limit,
			}})
		}
	}
	res.Failed = failed
	return res
}

// pause waits a little, longer each time, so that writers of one item do not
// march in step.
func pause(ctx context.Context, attempt int) error {
	t := time.NewTimer(time.Duration(rand.Int64N(int64(attempt) * int64(200*time.Microsecond))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("commit: %w", ctx.Err())
	}
}

// plan is a compiled batch: registry operations first, then configs.
type plan struct {
	base     int // how many registry operations there are
	guards   []kv.Compare
	ops      []kv.Op
	counts   []kv.Op // of counters, behind ops and on absolute keys
	quotas   []quota // in the order of their Adds
	blocked  []txn.Blocked
	outcomes []configstore.Outcome // Version is the seq + 1 until the revision is known
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

// opsOfNew is how many rows a new item writes where nothing is limited: version
// and head.
const opsOfNew = 2

// plan compiles a batch on the local state.
func (c *Committer) plan(ctx context.Context, b *txn.Batch) (*plan, error) {
	rows := opsOfNew*len(b.Configs) + len(b.Registry)
	p := &plan{
		base: len(b.Registry), guards: make([]kv.Compare, 0, len(b.Configs)+len(b.Registry)+1),
		ops: make([]kv.Op, 0, rows), outcomes: make([]configstore.Outcome, len(b.Configs)),
	}
	now := c.Now()
	if len(b.Registry) > 0 {
		en := &enroller{committer: c, ctx: ctx, now: now, plan: p, rows: map[string]*entry{}}
		for i := range b.Registry {
			if err := p.refuse(i, en.op(&b.Registry[i])); err != nil {
				return nil, err
			}
		}
	}
	if len(b.Configs) == 0 {
		return p, nil
	}
	pl := &planner{
		committer: c, by: b.Actor, now: now.UnixMilli(), limits: c.Configs.Limits(), plan: p,
		items: make([]*draft, 0, len(b.Configs)),
	}
	for i := range b.Configs {
		if err := p.refuse(p.base+i, pl.op(i, &b.Configs[i])); err != nil {
			return nil, err
		}
	}
	return p, pl.finish()
}

// refuse notes an error that is a refusal of one operation, and returns others.
func (p *plan) refuse(op int, err error) error {
	if blocks(err) {
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
