package catalog

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Keeper does what must be done when nobody calls: it lets instances end that are
// silent, forgets services that are gone, and drops overrides whose instance does
// not come back.
//
// It owns one goroutine, in Run.
type Keeper struct {
	Engine *Engine
	Store  kv.Store    // of Owner
	Leads  func() bool // only the leader drops overrides

	missing map[overrideKey]time.Time // since when an override has no instance
}

const (
	sweepEvery = time.Second
	looks      = 6 // at overrides, in the time that one lingers
)

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	k.missing = map[overrideKey]time.Time{}
	e := k.Engine
	sweep, look, beats := time.NewTicker(sweepEvery), time.NewTicker(e.settings.Linger/looks), time.NewTicker(tick)
	defer sweep.Stop()
	defer look.Stop()
	defer beats.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.kick:
			last = time.Now()
			beats.Reset(tick)
		case <-beats.C:
			now := time.Now()
			if !e.pass(now.Sub(last)) {
				beats.Stop()
			}
			last = now
		case <-sweep.C:
			e.sweep()
		case now := <-look.C:
			k.look(ctx, now)
		}
	}
}

// sweep forgets all that may be forgotten, a few at a time.
func (e *Engine) sweep() {
	for {
		e.begin()
		more := len(e.gone) > 0 && time.Since(e.gone[0].at) >= keepGone
		e.mu.Unlock()
		if !more {
			return
		}
	}
}

// look notes which overrides have no instance, and drops those that have had none
// for long (CTR-M07). Every member keeps the times, so that a new leader goes on
// where the old one stopped.
func (k *Keeper) look(ctx context.Context, now time.Time) {
	without := k.Engine.withoutInstance()
	for o := range k.missing {
		if _, still := without[o]; !still {
			delete(k.missing, o)
		}
	}
	for o := range without {
		since, known := k.missing[o]
		switch {
		case !known:
			k.missing[o] = now
		case now.Sub(since) >= k.Engine.settings.Linger && k.Leads():
			if err := k.drop(ctx, o); err != nil {
				if ctx.Err() == nil {
					k.Engine.settings.Logger.Warn("override not dropped, tried again soon", zap.Error(err))
				}
				return
			}
		}
	}
}

// withoutInstance is the overrides that are laid over nothing.
func (e *Engine) withoutInstance() map[overrideKey]struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[overrideKey]struct{}{}
	for key, in := range e.overrides {
		s := e.find(&key)
		for a := range in {
			if s == nil || !s.holds(a) {
				out[overrideKey{key, a.subset, a.host, a.port}] = struct{}{}
			}
		}
	}
	return out
}

// holds says whether a service has an instance of this datacenter at an address.
func (s *service) holds(a address) bool {
	none := &registry.Publisher{}
	i, _ := s.place(&registry.Instance{Publisher: none, Subset: a.subset, Host: a.host, Port: a.port})
	if i == len(s.list) {
		return false
	}
	in := s.list[i].Instance
	return origin(in.Publisher) == "" && in.Subset == a.subset && in.Host == a.host && in.Port == a.port
}

// drop deletes an override unless it has been written since.
func (k *Keeper) drop(ctx context.Context, o overrideKey) error {
	key := RowOfOverride(&registry.Override{Service: o.service, Subset: o.subset, Host: o.host, Port: o.port})
	rec, err := k.Store.Get(ctx, TableOverride, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = k.Store.Commit(ctx, kv.Txn{
		If:   []kv.Compare{{Table: TableOverride, Key: key, Target: kv.Modified, Rel: kv.Equal, Num: uint64(rec.Modified)}},
		Then: []kv.Op{{Kind: kv.Delete, Table: TableOverride, Key: key}},
	})
	return err
}
