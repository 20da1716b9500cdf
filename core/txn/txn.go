// Package txn is the one write path of core: private rows, registry and config
// changes are committed together, as one entry of the replicated log.
//
// A batch is all or nothing. Within the entry the registry ops run first, then
// the config ops, then the caller's own, so that an IfChanged op of the caller
// also sees the changes of the others. Guards and quotas that refuse are confirmed
// after a quorum round before they are reported, so every answer is
// linearizable (CTR-T03).
package txn

import (
	"context"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Batch is everything one call changes. Core keeps its byte slices: never reuse
// them after Commit.
type Batch struct {
	KV       kv.Txn // the caller's own tables
	Registry []registry.Op
	Configs  []configstore.Op
	Actor    auth.Actor // who does it; recorded with every version
}

// Result is the outcome of a batch that reached a decision.
type Result struct {
	kv.Result
	// Blocked says which registry and config ops refused, when not committed.
	Blocked []Blocked
	// Configs holds, for a committed batch, one outcome per config op.
	Configs []configstore.Outcome
}

// Blocked is one op that refused and why: kv.ErrForeign, kv.ErrConflict,
// registry.ErrEphemeral, *configstore.GuardError or *configstore.QuotaError.
type Blocked struct {
	Op    int // Registry first, then Configs
	Cause error
}

// Committer commits batches. Errors are those of package kv; a refusal is a
// Result that is not Committed.
type Committer interface {
	Commit(ctx context.Context, b Batch) (Result, error)
}

// Publish commits one config change alone. A refusal is returned as the error
// that caused it.
func Publish(ctx context.Context, c Committer, by auth.Actor, op configstore.Op) (configstore.Outcome, error) {
	res, err := c.Commit(ctx, Batch{Configs: []configstore.Op{op}, Actor: by})
	switch {
	case err != nil:
		return configstore.Outcome{}, err
	case len(res.Blocked) > 0:
		return configstore.Outcome{}, res.Blocked[0].Cause
	case !res.Committed:
		return configstore.Outcome{}, kv.ErrConflict
	}
	return res.Configs[0], nil
}

// Register commits registry ops. A refusal is returned as the error that caused
// it.
func Register(ctx context.Context, c Committer, by auth.Actor, ops ...registry.Op) error {
	res, err := c.Commit(ctx, Batch{Registry: ops, Actor: by})
	switch {
	case err != nil:
		return err
	case len(res.Blocked) > 0:
		return res.Blocked[0].Cause
	case !res.Committed:
		return kv.ErrConflict
	}
	return nil
}
