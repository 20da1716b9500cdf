// Package locks is the engine behind package lock: a lock is one row of core's own
// table, with a lease, written through the one write path like every other row.
//
// The row is created by the acquisition, so its Created is the token; an extension
// moves the row to a new lease and touches it. Every change compares the Modified
// that it has read. An answer that refuses is confirmed by a quorum round, or by
// apply, so that it is as linearizable as one that grants.
//
// A row whose lease has no time left may be taken before the lessor has ended it:
// the same transaction revokes the old lease. The clock is the lessor's alone.
//
// An acquisition with an unknown outcome is settled by a second transaction that
// compares the row with the random value of the first, and is ordered behind it
// (CTR-K10); when the caller has gone, a worker gives the lock back.
//
// Its owner runs two goroutines: Run follows the rows and wakes the first of each
// queue, GiveBack is that worker. Who waits does so in its own goroutine. Start
// reading at acquire.go.
package locks

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

const (
	table = "lock"
	// maxAttempts bounds how often one call may be overtaken.
	maxAttempts = 16
	// maxAbandoned is how many acquisitions may wait to be given back; beyond it
	// they end with their lease.
	maxAbandoned = 1024
)

// Tables declares what the package keeps.
func Tables() []kv.TableSpec { return []kv.TableSpec{{Name: table, Residency: kv.Hot}} }

// Clock knows what leases have left; false when it does not keep their time.
type Clock interface {
	Left(id kv.LeaseID) (time.Duration, bool)
}

// Settings wire an engine.
type Settings struct {
	Store  kv.Store // with Tables
	Clock  Clock
	Failed <-chan struct{}       // closed when the member has failed for good
	Logger *zap.Logger           // required
	Meters prometheus.Registerer // nil: none
}

// Engine keeps the locks of all owners.
type Engine struct {
	store  kv.Store
	clock  Clock
	failed <-chan struct{}
	logger *zap.Logger
	meters *meters

	queues    queues
	held      atomic.Int64 // rows, as far as they have been followed
	abandoned chan ghost
	stop      chan struct{} // closed when Run ends
}

// New returns an engine; nobody is woken before Run.
func New(s Settings) *Engine {
	e := &Engine{
		store: s.Store, clock: s.Clock, failed: s.Failed, logger: s.Logger,
		queues:    queues{byLock: map[string]*queue{}},
		abandoned: make(chan ghost, maxAbandoned),
		stop:      make(chan struct{}),
	}
	e.meters = newMeters(s.Meters, e)
	return e
}

// For returns the locks of one owner. No other owner's calls reach them.
func (e *Engine) For(owner string) lock.Locks { return locks{e, owner} }

// locks is the engine as one owner sees it.
type locks struct {
	*Engine
	owner string
}

var _ lock.Locks = locks{}

// row reads a lock as this member knows it; nil when nobody holds it.
func (e *Engine) row(ctx context.Context, key []byte) (*kv.Record, error) {
	rec, err := e.store.Get(ctx, table, key)
	if isAbsent(err) {
		return nil, nil //nolint:nilnil // absent is an answer here
	}
	return rec, err
}

// confirm returns when this member knows everything that was acknowledged before
// the call.
func (e *Engine) confirm(ctx context.Context) error {
	_, err := e.store.View(ctx, kv.Linearizable)
	return err
}

// unchanged compares a lock with what was read of it, nil for nothing.
func unchanged(key []byte, rec *kv.Record) kv.Compare {
	c := kv.Compare{Table: table, Key: key, Target: kv.Modified, Rel: kv.Equal}
	if rec != nil {
		c.Num = uint64(rec.Modified)
	}
	return c
}
