package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// One look at the ring takes so many revisions, and one batch ends after so many
// events.
const (
	pullRevisions = 256
	batchEvents   = 1024
)

// stream is one watcher: a position in the ring.
type stream struct {
	hub    *hub
	want   WatchOptions
	prefix string
	ready  chan struct{} // something matched; capacity 1, a wake-up is enough
	ended  chan struct{} // closed with err set

	// Guarded by hub.mu.
	behind  int         // matching revisions published and not read
	counted kv.Revision // the last one counted
	err     error

	// Of the goroutine that calls Next.
	pos    uint64
	seen   kv.Revision // everything up to here has been looked at
	fresh  bool        // nothing was read yet, and the first batch must be a mark
	markAt time.Time   // when an idle stream sends one
	timer  *time.Timer
	pulled []moment // scratch
}

var _ kv.Stream = (*stream)(nil)

// Watch opens a stream over the events of one hot table; see kv.Watch for After
// and Previous. The keys of its records are the caller's own. It returns
// kv.ErrCompacted when After is no longer remembered and kv.ErrOverloaded when
// too many streams are open.
func (s *Store) Watch(w WatchOptions) (kv.Stream, error) {
	t, ok := s.TableByID(w.Table)
	if !ok || t.Residency != kv.Hot {
		return nil, fmt.Errorf("watch table %d: %w: not a hot table", w.Table, fsm.ErrInvalid)
	}
	return s.hub.watch(w)
}

// notify counts a matching revision and wakes the reader, or ends a stream that
// nobody reads. The caller holds hub.mu.
func (st *stream) notify(rev kv.Revision) {
	if st.counted == rev {
		return
	}
	st.counted = rev
	if st.behind++; st.behind > maxBehind {
		st.hub.end(st, fmt.Errorf("watch: %d revisions behind: %w", st.behind, kv.ErrCompacted))
		return
	}
	wake(st.ready)
}

// Next implements kv.Stream.
func (st *stream) Next(ctx context.Context) (kv.Batch, error) {
	if err := ctx.Err(); err != nil {
		return kv.Batch{}, err
	}
	if st.fresh {
		st.fresh = false
		return kv.Batch{Revision: st.seen}, nil
	}
	mark := false
	for {
		b, more, err := st.pull()
		switch {
		case err != nil:
			return kv.Batch{}, err
		case len(b.Events) > 0 || mark && !more:
			st.markAt = time.Now().Add(st.hub.progress)
			return b, nil
		case more:
			continue
		}
		if mark, err = st.idle(ctx); err != nil {
			return kv.Batch{}, err
		}
	}
}

// idle waits for an event, or until a mark is due.
func (st *stream) idle(ctx context.Context) (mark bool, err error) {
	if wait := time.Until(st.markAt); st.timer == nil {
		st.timer = time.NewTimer(wait)
	} else {
		st.timer.Reset(wait)
	}
	defer st.timer.Stop()
	select {
	case <-st.ready:
	case <-st.ended:
	case <-st.timer.C:
		mark = true
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return mark, nil
}

// pull reads on in the ring. More tells that it stopped before the end.
func (st *stream) pull() (b kv.Batch, more bool, err error) {
	h := st.hub
	h.mu.Lock()
	switch {
	case st.err != nil:
	case st.pos < h.ring.first:
		h.end(st, fmt.Errorf("watch: reader too slow: %w", kv.ErrCompacted))
	}
	if st.err != nil {
		defer h.mu.Unlock()
		return kv.Batch{}, false, st.err
	}
	st.pulled = st.pulled[:0]
	for pos := st.pos; pos < h.ring.end && len(st.pulled) < pullRevisions; pos++ {
		st.pulled = append(st.pulled, *h.ring.at(pos))
	}
	end, newest := h.ring.end, h.rev
	h.mu.Unlock()

	matched := 0
	for i := range st.pulled {
		m := &st.pulled[i]
		n := len(b.Events)
		b.Events = st.match(b.Events, m)
		st.pos++
		st.seen = max(st.seen, m.rev)
		if len(b.Events) > n {
			matched++
		}
		if len(b.Events) >= batchEvents {
			break
		}
	}
	clear(st.pulled)
	if more = st.pos < end; !more {
		st.seen = max(st.seen, newest)
	}
	b.Revision = st.seen
	st.caughtUp(matched)
	return b, more, nil
}

// caughtUp takes what was read off the count of notify.
func (st *stream) caughtUp(matched int) {
	if matched == 0 {
		return
	}
	st.hub.mu.Lock()
	defer st.hub.mu.Unlock()
	st.behind = max(0, st.behind-matched)
}

// match appends the events of m that the stream wants.
func (st *stream) match(dst []kv.Event, m *moment) []kv.Event {
	if m.rev <= st.want.After {
		return dst
	}
	for i := range m.events {
		c := &m.events[i]
		if c.Table != st.want.Table || !strings.HasPrefix(view(c.Record.Key), st.prefix) {
			continue
		}
		e := c.Event
		if !st.want.Previous {
			e.Previous = nil
		}
		dst = append(dst, e)
	}
	return dst
}

// Close implements kv.Stream. It may run beside Next.
func (st *stream) Close() error {
	st.hub.mu.Lock()
	defer st.hub.mu.Unlock()
	st.hub.end(st, kv.ErrClosed)
	return nil
}
