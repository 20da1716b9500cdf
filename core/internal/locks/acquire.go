package locks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// claim is a checked request.
type claim struct {
	lock.Request
	key []byte
}

// verdict is what a look at a lock came to.
type verdict struct {
	held lock.Held
	got  bool
	left time.Duration // of whoever has it
	keep bool          // left is known
}

// ghost is an acquisition whose outcome is not known.
type ghost struct {
	key, value []byte
	lease      kv.LeaseID
}

// is compares the row of a lock with a ghost: its value is like no other.
func (g *ghost) is() kv.Compare {
	return kv.Compare{Table: table, Key: g.key, Target: kv.Value, Rel: kv.Equal, Bytes: g.value}
}

// Acquire implements lock.Locks.
func (l locks) Acquire(ctx context.Context, r lock.Request) (lock.Held, bool, error) {
	v, err := l.acquire(ctx, r)
	if err != nil {
		return lock.Held{}, false, fmt.Errorf("acquire lock: %w", err)
	}
	return v.held, v.got, nil
}

func (l locks) acquire(ctx context.Context, r lock.Request) (verdict, error) {
	key, err := rowKey(l.owner, r.Space, r.Name)
	if err := errors.Join(err, checkTTL(r.TTL), checkOwner(r.Owner)); err != nil {
		return verdict{}, err
	}
	if l.held.Load() >= lock.MaxHeld {
		l.meters.refused.Inc()
		return verdict{}, fmt.Errorf("%d locks are held: %w", lock.MaxHeld, kv.ErrOverloaded)
	}
	c := &claim{Request: r, key: key}
	if r.Wait <= 0 {
		return l.try(ctx, c)
	}
	return l.wait(ctx, c)
}

// try takes a lock that is free, or whose time is over. Both answers are
// linearizable.
func (e *Engine) try(ctx context.Context, c *claim) (verdict, error) {
	confirmed := false
	for range maxAttempts {
		rec, err := e.row(ctx, c.key)
		if err != nil {
			return verdict{}, err
		}
		if rec != nil {
			if left, keep := e.clock.Left(rec.Lease); !keep || left > 0 {
				if confirmed {
					return verdict{left: left, keep: keep}, nil
				}
				if err := e.confirm(ctx); err != nil {
					return verdict{}, err
				}
				confirmed = true
				continue
			}
		}
		if v, err := e.take(ctx, c, rec); err != nil || v.got {
			return v, err
		}
		confirmed = true // by apply, which refused
	}
	return verdict{}, fmt.Errorf("%d times overtaken: %w", maxAttempts, kv.ErrConflict)
}

// take proposes an acquisition in the place of rec, nil for a free lock.
func (e *Engine) take(ctx context.Context, c *claim, rec *kv.Record) (verdict, error) {
	g := ghost{key: c.key, value: newValue(c.Owner), lease: newLease()}
	t := kv.Txn{If: []kv.Compare{unchanged(c.key, rec)}}
	if rec != nil {
		t.Then = append(t.Then, kv.Op{Kind: kv.Revoke, Lease: rec.Lease})
	}
	t.Then = append(t.Then,
		kv.Op{Kind: kv.Grant, Lease: g.lease, TTL: c.TTL},
		kv.Op{Kind: kv.Put, Table: table, Key: g.key, Value: g.value, Lease: g.lease})
	res, err := e.store.Commit(ctx, t)
	switch {
	case errors.Is(err, kv.ErrUncertain):
		return e.settle(ctx, c, &g, err)
	case err != nil || !res.Committed:
		return verdict{}, err
	}
	return e.won(c, uint64(res.Revision), g.lease), nil
}

func (e *Engine) won(c *claim, token uint64, lease kv.LeaseID) verdict {
	left, _ := e.clock.Left(lease)
	return verdict{got: true, held: lock.Held{
		Space: c.Space, Name: c.Name, Owner: c.Owner, Token: token, Remaining: max(0, left),
	}}
}

// settle finds out what an acquisition came to, by a transaction behind it that
// changes nothing. Without an answer to that the caller does not hold the lock.
func (e *Engine) settle(ctx context.Context, c *claim, g *ghost, cause error) (verdict, error) {
	if ctx.Err() != nil {
		e.abandon(g)
		return verdict{}, cause
	}
	res, err := e.store.Commit(ctx, kv.Txn{If: []kv.Compare{g.is()}})
	if err != nil {
		e.abandon(g)
		return verdict{}, cause
	}
	if !res.Committed {
		return verdict{}, nil
	}
	rec, err := e.row(ctx, c.key)
	if err != nil || rec == nil || !bytes.Equal(rec.Value, g.value) {
		return verdict{}, err // over since
	}
	return e.won(c, uint64(rec.Created), rec.Lease), nil
}
