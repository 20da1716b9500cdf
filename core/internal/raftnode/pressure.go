package raftnode

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
)

// What may be applied and not yet in state.db (ARC-S15). Past half of any of
// them proposals are delayed, past the whole they are refused.
const (
	maxLagBytes = 256 << 20
	maxLagOps   = 500_000
	maxLogBytes = 2 << 30
	// maxDelay is the delay just before refusal.
	maxDelay = 50 * time.Millisecond
)

const (
	// keepEntries stay in the log behind what is persisted, keepInGroup where
	// there are others who may be behind.
	keepEntries = 1_000
	keepInGroup = 10_000
	// cutEvery is how many entries make a cut of the log worth its sync.
	cutEvery = 20_000
	// cutBytes is the size of the log above which all that is persisted goes, half
	// of it on a node alone: few entries can be large.
	cutBytes = 256 << 20
)

// pressure is how far persistence lags, as a share of what it may.
type pressure struct {
	share atomic.Uint64 // bits of a float64
	// applied fires whenever entries have been applied.
	applied signal
}

// wait delays a proposal in proportion, or refuses it.
func (p *pressure) wait(ctx context.Context) error {
	share := math.Float64frombits(p.share.Load())
	switch {
	case share < 0.5:
		return nil
	case share >= 1:
		return fmt.Errorf("persistence is too far behind: %w", kv.ErrOverloaded)
	}
	t := time.NewTimer(time.Duration(float64(maxDelay) * (share - 0.5) * 2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("persistence is behind: %w: %w", kv.ErrOverloaded, ctx.Err())
	}
}

// housekeeping runs with every tick: it measures the lag and cuts the log.
func (n *Node) housekeeping() {
	bytes, ops := n.store.Lag()
	size := n.log.Size()
	share := max(float64(bytes)/maxLagBytes, float64(ops)/maxLagOps, float64(size)/maxLogBytes)
	n.pressure.share.Store(math.Float64bits(share))
	applied, _ := n.store.Applied()
	n.meters.observe(applied, bytes, ops, size)
	if err := n.cut(); err != nil {
		n.Fail(fmt.Errorf("cut log: %w", err))
	}
}

// cut drops the entries that state.db holds; some are kept for members that are
// a little behind, and on the leader, within bounds, all that a live one lacks.
func (n *Node) cut() error {
	persisted := min(n.store.Persisted(), n.lacked())
	first, err := n.log.FirstIndex()
	if err != nil {
		return err
	}
	keep, limit := uint64(keepInGroup), n.cutBytes
	if n.alone.Load() {
		// Nobody needs what state.db holds, and a file that comes back early
		// spares the disk the zeros of a new one.
		keep, limit = keepEntries, limit/2
	}
	var to uint64
	switch {
	case persisted >= first+keep+cutEvery:
		to = persisted - keep
	case n.log.Size() >= limit && n.store.Persisted() > first:
		to = n.store.Persisted() // who lacks more gets a snapshot
	default:
		return nil
	}
	if err := n.log.Compact(to); err != nil {
		return err
	}
	n.logger.Debug("log compacted", zap.Uint64("index", to))
	return nil
}

// lacked is the last index that every member the leader hears of has.
func (n *Node) lacked() uint64 {
	least := uint64(forever)
	if !n.leads || n.alone.Load() {
		return least
	}
	for _, p := range n.progress() {
		if p.Active && !p.Snapshot {
			least = min(least, p.Match)
		}
	}
	return least
}
