package locks

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
)

const (
	giveBackTries   = 8
	giveBackTimeout = 5 * time.Second
	firstPause      = 50 * time.Millisecond // doubled with every try
	followPause     = time.Second
)

// Run follows the rows, until ctx ends or the store is closed. Then those who wait
// are sent away.
func (e *Engine) Run(ctx context.Context) {
	defer close(e.stop)
	for {
		err := e.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, kv.ErrClosed) {
			return
		}
		// What was forgotten is listed again; too many streams end some time.
		e.logger.Warn("locks are followed anew", zap.Error(err))
		if !errors.Is(err, kv.ErrCompacted) && !pause(ctx, followPause) {
			return
		}
	}
}

// follow counts the rows and wakes the first in line for each that changes.
func (e *Engine) follow(ctx context.Context) error {
	st, err := e.store.Watch(ctx, kv.Watch{Table: table, Previous: true})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	counted, err := e.count(ctx) // after the stream was opened: nothing is missed
	if err != nil {
		return err
	}
	e.queues.all()
	for {
		b, err := st.Next(ctx)
		if err != nil {
			return err
		}
		for i := range b.Events {
			ev := &b.Events[i]
			if ev.Record.Modified > counted {
				e.held.Add(grown(ev))
			}
			e.queues.changed(ev.Record.Key)
		}
	}
}

func grown(ev *kv.Event) int64 {
	switch {
	case ev.Deleted:
		return -1
	case ev.Previous == nil:
		return 1
	}
	return 0
}

// count sets how many locks are held and returns the revision of that.
func (e *Engine) count(ctx context.Context) (kv.Revision, error) {
	v, err := e.store.View(ctx, kv.Local)
	if err != nil {
		return 0, err
	}
	n := 0
	for r := (kv.Range{Table: table, Limit: kv.MaxPage, KeysOnly: true}); ; {
		page, err := v.Range(ctx, r)
		if err != nil {
			return 0, err
		}
		n += len(page.Records)
		if r.From = page.Next; r.From == nil {
			break
		}
	}
	e.held.Store(int64(n))
	return v.Revision(), nil
}

// abandon leaves a ghost to the worker.
func (e *Engine) abandon(g *ghost) {
	select {
	case e.abandoned <- *g:
	default:
		e.meters.refused.Inc()
		e.logger.Warn("too many uncertain locks, one ends with its time")
	}
}

// GiveBack gives back what was abandoned, until ctx ends.
func (e *Engine) GiveBack(ctx context.Context) {
	for {
		select {
		case g := <-e.abandoned:
			e.giveBack(ctx, &g)
		case <-ctx.Done():
			return
		}
	}
}

// giveBack releases what a ghost may have got. It proposes at once: a look at the
// rows says nothing about what is still on its way.
func (e *Engine) giveBack(ctx context.Context, g *ghost) {
	wait := firstPause
	for range giveBackTries {
		err := e.release(ctx, g)
		if err == nil || errors.Is(err, kv.ErrClosed) || !pause(ctx, wait) {
			return
		}
		wait *= 2
	}
	e.logger.Warn("an uncertain lock was not given back, it ends with its time")
}

func (e *Engine) release(ctx context.Context, g *ghost) error {
	ctx, cancel := context.WithTimeout(ctx, giveBackTimeout)
	defer cancel()
	// The lease was made for this acquisition alone: nobody else's goes with it.
	_, err := e.store.Commit(ctx, kv.Txn{Then: []kv.Op{{Kind: kv.Revoke, Lease: g.lease}}})
	return err
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
