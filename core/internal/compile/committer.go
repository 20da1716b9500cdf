package compile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/kv"
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

	plans sync.Pool // of *plan
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
	var own kv.Txn
	if len(b.KV.If)+len(b.KV.Then)+len(b.KV.Else) > 0 {
		var err error
		if own, err = c.Own.Resolve(b.KV); err != nil {
			return txn.Result{}, err
		}
	}
	confirmed := false
	for attempt := 1; ; attempt++ {
		res, again, err := c.attempt(ctx, &b, &own, &confirmed)
		if err != nil || again == done {
			return res, err
		}
		if again == confirm {
			continue
		}
		if attempt == maxAttempts {
			return txn.Result{}, fmt.Errorf("commit: %d times overtaken: %w", attempt, kv.ErrConflict)
		}
		if err := pause(ctx, attempt); err != nil {
			return txn.Result{}, err
		}
	}
}

// verdict says how a commit goes on after an attempt.
type verdict uint8

const (
	done     verdict = iota
	confirm          // it was refused on what may be an old state
	overtook         // the state it was made on has moved
)

// attempt compiles a batch and proposes it.
func (c *Committer) attempt(ctx context.Context, b *txn.Batch, own *kv.Txn, confirmed *bool) (txn.Result, verdict, error) {
	p, err := c.plan(ctx, b)
	defer c.release(p)
	switch {
	case err != nil:
		return txn.Result{}, done, err
	case len(p.blocked) == 0:
		return c.try(ctx, p, own)
	case *confirmed:
		return txn.Result{Blocked: p.blocked}, done, nil
	}
	if _, err := c.Node.Barrier(ctx, kv.Linearizable); err != nil {
		return txn.Result{}, done, fmt.Errorf("commit: %w", err)
	}
	*confirmed = true
	return txn.Result{}, confirm, nil
}

// try proposes a plan with the caller's rows.
func (c *Committer) try(ctx context.Context, p *plan, own *kv.Txn) (res txn.Result, v verdict, err error) {
	if err := c.Core.Place(p.guards, p.ops); err != nil {
		return res, done, err
	}
	p.txn = fsm.Txn{
		Guards: p.guards, If: own.If, Then: append(append(p.ops, p.counts...), own.Then...), Else: own.Else,
	}
	if len(p.txn.Guards)+len(p.txn.If)+len(p.txn.Then)+len(p.txn.Else) > kv.MaxCompiled {
		return res, done, fmt.Errorf("commit: compiled: %w", kv.ErrTooLarge)
	}
	out, err := c.Node.Propose(ctx, &p.txn)
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return res, done, fmt.Errorf("commit: %w", err)
	}
	if len(out.Guards) > 0 {
		return res, overtook, nil
	}
	res.Result = out.Result
	if !out.Result.Committed {
		return c.refused(res, p, len(own.If)), done, nil
	}
	res.Configs = p.outcomes
	for i := range res.Configs {
		if o := &res.Configs[i]; o.Version != 0 {
			o.Version = kv.NewStamp(out.Result.Revision, uint16(o.Version-1))
		}
	}
	return res, done, nil
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
