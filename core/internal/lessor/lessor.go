// Package lessor lets leases expire (ARC-S09). Leases and the rows that hang on
// them are replicated; how long each has left is known to the leader alone, in
// memory, by its monotonic clock. A keep-alive touches that memory only.
//
// A Lessor owns one goroutine, in Run. A member that begins to lead gives every
// lease its full time again, and so does one that was paused for longer than
// the shortest lease lives (REL-09): a lease never ends early.
package lessor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// Node commits transactions.
type Node interface {
	Propose(ctx context.Context, t *fsm.Txn) (fsm.Outcome, error)
}

const (
	scanEvery = 500 * time.Millisecond
	// pauseAfter is how late a scan may be before the process counts as paused.
	pauseAfter = 2 * time.Second
	maxExpire  = 256 // leases revoked between two scans
	// MaxTTL bounds a lease.
	MaxTTL = 30 * 24 * time.Hour
)

// Lessor learns of leases as a store.Observer. For gives the kv.Leases of it.
type Lessor struct {
	leads  func() bool
	logger *zap.Logger

	mu      sync.Mutex // guards what follows
	leases  map[kv.LeaseID]*lease
	scanned time.Time // the last scan as leader; zero when there was none
}

type lease struct {
	ttl   time.Duration
	end   time.Time
	ended bool // its revocation is, or may be, under way: nothing brings it back
}

var (
	_ kv.Leases      = leases{}
	_ store.Observer = (*Lessor)(nil)
)

// New returns a lessor; leads says whether this member leads.
func New(leads func() bool, logger *zap.Logger) *Lessor {
	return &Lessor{leads: leads, logger: logger, leases: map[kv.LeaseID]*lease{}}
}

// leases joins a lessor with the node that it proposes through.
type leases struct {
	*Lessor
	node Node
}

// For returns the leases, granted and revoked through n.
func (l *Lessor) For(n Node) kv.Leases { return leases{l, n} }

// Rebuild implements store.Observer.
func (l *Lessor) Rebuild(s *store.Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.leases)
	now := time.Now()
	s.Root().Scan(fsm.AppendKey(nil, fsm.LeaseTable, nil), nil, false, func(r *kv.Record) bool {
		id, ttl := fsm.LeaseOf(r)
		l.leases[id] = &lease{ttl: ttl, end: now.Add(ttl)}
		return true
	})
	return nil
}

// Applied implements store.Observer.
func (l *Lessor) Applied(_ kv.Revision, changes []fsm.Change) {
	for i := range changes {
		if changes[i].Table != fsm.LeaseTable {
			continue
		}
		l.mu.Lock()
		if c := &changes[i]; c.Deleted {
			delete(l.leases, leaseID(c.Record))
		} else {
			id, ttl := fsm.LeaseOf(c.Record)
			l.leases[id] = &lease{ttl: ttl, end: time.Now().Add(ttl)}
		}
		l.mu.Unlock()
	}
}

// leaseID reads the id of a row whose value may be gone.
func leaseID(r *kv.Record) kv.LeaseID {
	id, _ := fsm.LeaseOf(&kv.Record{Key: r.Key, Value: make([]byte, 8)})
	return id
}

// Run revokes leases that have ended while this member leads, until ctx ends.
func (l *Lessor) Run(ctx context.Context, n Node) {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if leads := l.leads(); l.scan(now, leads) {
			l.expire(ctx, n, now)
		}
	}
}

// scan notes that the member leads, or does not. Whoever begins to, and whoever
// was paused, gives all leases their whole time.
func (l *Lessor) scan(now time.Time, leads bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !leads {
		l.scanned = time.Time{}
		return false
	}
	late := now.Sub(l.scanned) > pauseAfter
	if l.scanned = now; !late {
		return true
	}
	for _, x := range l.leases {
		if !x.ended {
			x.end = now.Add(x.ttl)
		}
	}
	return true
}

// Left is what a lease has left by the clock of this member: 0 or less when its
// time is over and its end is not committed yet. It is false when there is no such
// lease, or another member keeps its time.
func (l *Lessor) Left(id kv.LeaseID) (time.Duration, bool) {
	if !l.leads() {
		return 0, false
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.leases[id]
	switch {
	case x == nil:
		return 0, false
	case !x.ended && now.Sub(l.scanned) > pauseAfter:
		return x.ttl, true // the next scan gives it that
	}
	return x.end.Sub(now), true
}

func (l *Lessor) expire(ctx context.Context, n Node, now time.Time) {
	for _, id := range l.ended(now) {
		t := fsm.Txn{Then: []kv.Op{{Kind: kv.Revoke, Lease: id}}}
		if _, err := n.Propose(ctx, &t); err != nil && ctx.Err() == nil {
			l.logger.Warn("lease not revoked, tried again soon", zap.Error(err))
			return
		}
	}
}

// ended marks leases whose time is over and returns them.
func (l *Lessor) ended(now time.Time) []kv.LeaseID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []kv.LeaseID
	for id, x := range l.leases {
		if !now.Before(x.end) && len(ids) < maxExpire {
			x.ended = true
			ids = append(ids, id)
		}
	}
	return ids
}

// Grant implements kv.Leases.
func (l leases) Grant(ctx context.Context, ttl time.Duration) (kv.LeaseID, error) {
	if ttl <= 0 || ttl > MaxTTL {
		return 0, fmt.Errorf("grant lease: want a life up to %v, got %v", MaxTTL, ttl)
	}
	id := kv.LeaseID(rand.Uint64()>>1 | 1)
	out, err := l.node.Propose(ctx, &fsm.Txn{Then: []kv.Op{{Kind: kv.Grant, Lease: id, TTL: ttl}}})
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return 0, fmt.Errorf("grant lease: %w", err)
	}
	return id, nil
}

// KeepAlive implements kv.Leases.
func (l leases) KeepAlive(_ context.Context, ids []kv.LeaseID) ([]time.Duration, error) {
	if !l.leads() {
		return nil, fmt.Errorf("keep lease alive: %w", kv.ErrNoLeader)
	}
	now := time.Now()
	out := make([]time.Duration, len(ids))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range ids {
		if x := l.leases[id]; x != nil && !x.ended {
			x.end, out[i] = now.Add(x.ttl), x.ttl
		}
	}
	return out, nil
}

// Revoke implements kv.Leases.
func (l leases) Revoke(ctx context.Context, ids []kv.LeaseID) error {
	t := fsm.Txn{}
	for _, id := range ids {
		t.Then = append(t.Then, kv.Op{Kind: kv.Revoke, Lease: id})
	}
	out, err := l.node.Propose(ctx, &t)
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return fmt.Errorf("revoke leases: %w", err)
	}
	return nil
}
