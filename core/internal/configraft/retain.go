package configraft

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Retention says which versions are dropped: those older than Age, except the
// newest Keep of an item and whatever is current.
type Retention struct {
	Age  time.Duration
	Keep int
	Now  func() time.Time
	// Leads says whether this member is to do it.
	Leads func() bool
	// Drop deletes versions by their absolute keys.
	Drop func(ctx context.Context, keys [][]byte) error
}

const (
	retainEvery = 6 * time.Hour
	retainPage  = 1000 // rows looked at in one read of the disk
)

// Retain drops old versions a few times a day until ctx ends.
func (s *Store) Retain(ctx context.Context, r Retention) {
	t := time.NewTicker(retainEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !r.Leads() {
			continue
		}
		if n, err := s.RetainOnce(ctx, r); err != nil {
			s.logger.Warn("old config versions not all dropped", zap.Error(err))
		} else if n > 0 {
			s.logger.Info("old config versions dropped", zap.Int("versions", n))
		}
	}
}

// RetainOnce walks all versions once and returns how many were dropped.
func (s *Store) RetainOnce(ctx context.Context, r Retention) (dropped int, err error) {
	w := walk{store: s, limit: r.Now().Add(-r.Age).UnixMilli(), keep: r.Keep}
	prefix := fsm.AppendKey(nil, s.IDs().Version, nil)
	from := []byte(nil)
	for {
		var last []byte
		n := 0
		w.old = nil
		// Newest first, so that the ones to keep are counted before the rest.
		err := s.store.ColdScan(prefix, from, true, func(rec *kv.Record) bool {
			n++
			last = rec.Key
			w.visit(rec)
			return n < retainPage
		})
		if err != nil {
			return dropped, fmt.Errorf("read versions: %w", err)
		}
		if len(w.old) > 0 {
			if err := r.Drop(ctx, w.old); err != nil {
				return dropped, fmt.Errorf("drop versions: %w", err)
			}
			dropped += len(w.old)
		}
		if n < retainPage {
			return dropped, ctx.Err()
		}
		from = fsm.AppendKey(nil, s.IDs().Version, last)
		w.skip = string(last)
	}
}

// walk judges versions, newest of an item first.
type walk struct {
	store *Store
	limit int64 // Unix ms
	keep  int
	key   configstore.Key
	seen  int
	skip  string // looked at already
	old   [][]byte
}

func (w *walk) visit(rec *kv.Record) {
	if string(rec.Key) == w.skip {
		return
	}
	v, err := decodeVersion(rec.Key, rec.Value)
	if err != nil {
		return // never drop what is not understood
	}
	if v.Key != w.key {
		w.key, w.seen = v.Key, 0
	}
	w.seen++
	if w.seen > w.keep && v.At < w.limit && !w.current(&v) {
		w.old = append(w.old, fsm.AppendKey(nil, w.store.IDs().Version, rec.Key))
	}
}

func (w *walk) current(v *version) bool {
	h := w.store.Head(v.Key)
	if h == nil {
		return false
	}
	if h.Version == v.Version {
		return true
	}
	for _, x := range h.Variants {
		if x.Version == v.Version {
			return true
		}
	}
	return false
}
