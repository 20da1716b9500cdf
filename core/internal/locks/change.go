package locks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// Extend implements lock.Locks. The row goes to a new lease in one transaction, so
// that every member, and every later leader, counts from here.
func (l locks) Extend(ctx context.Context, h lock.Held, ttl time.Duration) (bool, error) {
	if err := checkTTL(ttl); err != nil {
		return false, fmt.Errorf("extend lock: %w", err)
	}
	if h.Token == 0 {
		return false, nil // nobody's
	}
	done, err := l.change(ctx, h, func(rec *kv.Record) []kv.Op {
		next := newLease()
		return []kv.Op{
			{Kind: kv.Grant, Lease: next, TTL: ttl},
			{Kind: kv.Touch, Table: table, Key: rec.Key, Lease: next},
			{Kind: kv.Revoke, Lease: rec.Lease},
		}
	})
	if err != nil {
		return false, fmt.Errorf("extend lock: %w", err)
	}
	return done, nil
}

// Release implements lock.Locks. The row goes with its lease.
func (l locks) Release(ctx context.Context, h lock.Held) (bool, error) {
	done, err := l.change(ctx, h, func(rec *kv.Record) []kv.Op {
		return []kv.Op{{Kind: kv.Revoke, Lease: rec.Lease}}
	})
	if err != nil {
		return false, fmt.Errorf("release lock: %w", err)
	}
	return done, nil
}

// change commits ops on the row of a lock that h holds; false when it does not.
func (l locks) change(ctx context.Context, h lock.Held, ops func(*kv.Record) []kv.Op) (bool, error) {
	key, err := rowKey(l.owner, h.Space, h.Name)
	if err := errors.Join(err, checkOwner(h.Owner)); err != nil {
		return false, err
	}
	confirmed := false
	for range maxAttempts {
		rec, err := l.row(ctx, key)
		if err != nil {
			return false, err
		}
		holds, err := holds(rec, h)
		if err != nil {
			return false, err
		}
		if !holds {
			if confirmed {
				return false, nil
			}
			if err := l.confirm(ctx); err != nil {
				return false, err
			}
			confirmed = true
			continue
		}
		res, err := l.store.Commit(ctx, kv.Txn{If: []kv.Compare{unchanged(key, rec)}, Then: ops(rec)})
		if err != nil || res.Committed {
			return err == nil, err
		}
		confirmed = true // by apply, which refused
	}
	return false, fmt.Errorf("%d times overtaken: %w", maxAttempts, kv.ErrConflict)
}

// holds says whether h may change the lock of a row, nil for a free one.
func holds(rec *kv.Record, h lock.Held) (bool, error) {
	if rec == nil {
		return false, nil
	}
	owner, err := holder(rec)
	return err == nil && (h.Token == 0 || h.Token == uint64(rec.Created)) && (owner == "" || owner == h.Owner), err
}

// Holders implements lock.Locks.
func (l locks) Holders(ctx context.Context, space, prefix string, limit int) ([]lock.Held, error) {
	key, err := rowKey(l.owner, space, prefix)
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	v, err := l.store.View(ctx, kv.Fresh)
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	page, err := v.Range(ctx, kv.Range{Table: table, Prefix: key[:len(key)-textEnd], Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	out := make([]lock.Held, len(page.Records))
	for i, rec := range page.Records {
		if out[i], err = named(rec); err != nil {
			return nil, fmt.Errorf("list locks: %w", err)
		}
		left, _ := l.clock.Left(rec.Lease)
		out[i].Remaining = max(0, left)
	}
	return out, nil
}
