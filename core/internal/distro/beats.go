package distro

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

const (
	// maxBeats is how many travel in one call.
	maxBeats = 4096
	// maxWaiting is how many wait for one member.
	maxWaiting = 100_000
)

// Beat implements registry.Ephemeral.
func (w *ephemeral) Beat(ctx context.Context, bs []registry.Beat) (unknown []int, err error) {
	if w.engine.state.routes.Load() == nil || len(bs) > registry.MaxPublish {
		return w.local.Beat(ctx, bs)
	}
	for to, part := range w.sort(bs) {
		var missing []int
		if to == 0 {
			missing, err = w.local.Beat(ctx, pick(bs, part))
		} else {
			missing, err = w.beatElsewhere(ctx, to, pick(bs, part))
		}
		if err != nil {
			return nil, err
		}
		for _, i := range missing {
			unknown = append(unknown, part[i])
		}
	}
	return unknown, nil
}

// sort says which beats are for which member.
func (w *ephemeral) sort(bs []registry.Beat) map[uint64][]int {
	out := make(map[uint64][]int, 1)
	for i := range bs {
		to, _ := w.home(bs[i].Instance.Publisher)
		out[to] = append(out[to], i)
	}
	return out
}

func pick(bs []registry.Beat, at []int) []registry.Beat {
	if len(at) == len(bs) {
		return bs
	}
	out := make([]registry.Beat, len(at))
	for i, j := range at {
		out[i] = bs[j]
	}
	return out
}

// beatElsewhere passes beats on. What the other member does not know, or cannot
// be told, is kept alive here when it is known here.
func (w *ephemeral) beatElsewhere(ctx context.Context, to uint64, bs []registry.Beat) (unknown []int, err error) {
	out := make([]*peerv1.DistroBeat, len(bs))
	for i := range bs {
		k := bs[i].Instance.Publisher
		if err := errors.Join(catalog.Claim(w.owner, &k), catalog.CheckKey(&bs[i].Instance)); err != nil {
			return nil, fmt.Errorf("beat %d: %w", i, err)
		}
		if s := bs[i].Status; s != 0 {
			if err := catalog.CheckStatus(s); err != nil {
				return nil, fmt.Errorf("beat %d: %w", i, err)
			}
		}
		out[i] = &peerv1.DistroBeat{Key: keyOut(&k), Name: nameOut(&bs[i].Instance), Status: uint32(bs[i].Status)}
	}
	missing, err := w.engine.lanes.beat(ctx, w.engine, to, out)
	if errors.Is(err, errUnreached) {
		missing = make([]int, len(bs))
		for i := range missing {
			missing[i] = i
		}
	} else if err != nil {
		return nil, err
	}
	for _, i := range missing {
		known := false
		err := w.takeOver(bs[i].Instance.Publisher, func() error {
			none, err := w.local.Beat(ctx, bs[i:i+1])
			known = err == nil && len(none) == 0
			return err
		})
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return nil, err
		}
		if !known {
			unknown = append(unknown, i)
		}
	}
	return unknown, nil
}

// lanes are the beats on their way to other members: those that wait for one
// travel together.
type lanes struct {
	mu     sync.Mutex // guards what follows
	to     map[uint64]*lane
	closed bool
}

type lane struct {
	waiting []*beats
	n       int // beats
	runs    bool
}

// beats are those of one caller.
type beats struct {
	list    []*peerv1.DistroBeat
	unknown []int
	err     error
	done    chan struct{}
}

// beat passes beats on and returns the indices of unknown ones.
func (ls *lanes) beat(ctx context.Context, e *Engine, to uint64, list []*peerv1.DistroBeat) ([]int, error) {
	b := &beats{list: list, done: make(chan struct{})}
	if err := ls.add(e, to, b); err != nil {
		return nil, err
	}
	select {
	case <-b.done:
		return b.unknown, b.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (ls *lanes) add(e *Engine, to uint64, b *beats) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return errUnreached
	}
	if ls.to == nil {
		ls.to = map[uint64]*lane{}
	}
	l := ls.to[to]
	if l == nil {
		l = &lane{}
		ls.to[to] = l
	}
	if l.n+len(b.list) > maxWaiting {
		return fmt.Errorf("%d beats wait for a member: %w", l.n, kv.ErrOverloaded)
	}
	l.waiting, l.n = append(l.waiting, b), l.n+len(b.list)
	if !l.runs {
		l.runs = true
		e.wg.Go(func() { ls.run(e, to, l) })
	}
	return nil
}

// close lets nobody wait any more. Those who do are told when their call ends.
func (ls *lanes) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
}

// run sends until nothing waits.
func (ls *lanes) run(e *Engine, to uint64, l *lane) {
	for {
		now := ls.take(to, l)
		if len(now) == 0 {
			return
		}
		send(e, to, now)
	}
}

func (ls *lanes) take(to uint64, l *lane) (now []*beats) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := 0
	for len(l.waiting) > 0 && (n == 0 || n+len(l.waiting[0].list) <= maxBeats) {
		n += len(l.waiting[0].list)
		now = append(now, l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	if l.n -= n; len(now) == 0 {
		l.runs = false
		delete(ls.to, to)
	}
	return now
}

// send makes one call of many beats and tells everybody.
func send(e *Engine, to uint64, bs []*beats) {
	call := &peerv1.DistroCall{Kind: peerv1.DistroCall_KIND_BEAT}
	for _, b := range bs {
		call.Beats = append(call.Beats, b.list...)
	}
	r, err := e.forward(e.ctx, to, call)
	unknown, at := r.GetUnknown(), 0
	for _, b := range bs {
		for len(unknown) > 0 && int(unknown[0]) < at+len(b.list) {
			b.unknown = append(b.unknown, int(unknown[0])-at)
			unknown = unknown[1:]
		}
		at += len(b.list)
		b.err = err
		close(b.done)
	}
}
