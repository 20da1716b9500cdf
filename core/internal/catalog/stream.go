package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

const (
	maxStreams = 1024
	// maxChanges bounds one Next, and so the time for which it holds the mutex.
	maxChanges = 512
)

var errStreams = errors.New("too many streams")

// stream is a place in the list of services. Engine.mu guards it.
type stream struct {
	engine *Engine
	filter filter
	owner  string
	at     *service // to look at next; nil: nothing has changed since
	given  bits     // services that the reader takes to be there
	closed bool
	// overtaken says that a service was forgotten before the reader heard of its end.
	overtaken bool
	// wake has room for one, so that whoever changes something never waits.
	wake chan struct{}
}

var _ registry.Stream = (*stream)(nil)

// Watch implements registry.Catalog. kv.ErrCompacted reports that a service which
// went after that version has been forgotten.
func (e *Engine) Watch(_ context.Context, q registry.Query, after uint64) (registry.Stream, error) {
	e.begin()
	defer e.mu.Unlock()
	if len(e.streams) >= maxStreams {
		return nil, fmt.Errorf("watch: %w: %w", errStreams, kv.ErrOverloaded)
	}
	if after > e.version {
		after = 0 // of another life or member
	}
	if after > 0 && after < e.forgotten {
		return nil, fmt.Errorf("watch: %w", kv.ErrCompacted)
	}
	st := &stream{engine: e, filter: newFilter(&q), owner: q.Owner, wake: make(chan struct{}, 1)}
	st.begin(after)
	e.streams = append(e.streams, st)
	return st, nil
}

// begin finds the place of a version; what is before it counts as given. To
// resume looks at every service once, which a plugin does when it starts.
func (st *stream) begin(after uint64) {
	e := st.engine
	if after == 0 {
		st.at = e.oldest
		return
	}
	s := e.newest
	for s != nil && s.version > after {
		// Whether it was there at that version is not known: if it went since,
		// the reader is told so in any case.
		if s.gone {
			st.given.set(s.slot)
		}
		st.at, s = s, s.prev
	}
	for ; s != nil; s = s.prev {
		if st.wants(s) {
			st.given.set(s.slot)
		}
	}
}

// wants says whether a service is there and matches.
func (st *stream) wants(s *service) bool {
	if s.gone || !st.filter.matches(&s.key) {
		return false
	}
	if st.owner == "" {
		return true
	}
	return slices.ContainsFunc(s.list, func(e registry.Endpoint) bool { return e.Publisher.Key.Owner == st.owner })
}

// wake puts a service that has moved to the end of the list before the streams.
func (e *Engine) wake(s *service) {
	for _, st := range e.streams {
		if st.at != nil {
			continue
		}
		st.at = s
		st.rouse()
	}
}

// rouse wakes the reader.
func (st *stream) rouse() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// Next implements registry.Stream.
func (st *stream) Next(ctx context.Context) ([]registry.Change, error) {
	for {
		out, err := st.poll()
		if err != nil || len(out) > 0 {
			return out, err
		}
		select {
		case <-st.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// poll returns what has changed and is the reader's.
func (st *stream) poll() ([]registry.Change, error) {
	const maxLooks = 1 << 14 // at services, before others get the mutex
	e := st.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case st.closed:
		return nil, kv.ErrClosed
	case st.overtaken:
		return nil, fmt.Errorf("watch: %w", kv.ErrCompacted)
	}
	var out []registry.Change
	for looks := 0; st.at != nil && len(out) < maxChanges && looks < maxLooks; looks++ {
		s := st.at
		st.at = s.next
		had := st.given.has(s.slot)
		switch wants := st.wants(s); {
		case wants:
			st.given.set(s.slot)
		case had:
			st.given.clear(s.slot)
		default:
			continue
		}
		out = append(out, registry.Change{Snapshot: e.read(s), Appeared: !had})
	}
	if st.at != nil {
		st.rouse()
	}
	return out, nil
}

// Close implements registry.Stream.
func (st *stream) Close() error {
	e := st.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	e.streams = slices.DeleteFunc(e.streams, func(x *stream) bool { return x == st })
	st.rouse()
	return nil
}

// bits is a set of slots.
type bits struct{ words []uint64 }

func (b *bits) has(i uint32) bool {
	w := int(i / 64)
	return w < len(b.words) && b.words[w]&(1<<(i%64)) != 0
}

func (b *bits) set(i uint32) {
	w := int(i / 64)
	if w >= len(b.words) {
		b.words = append(b.words, make([]uint64, w+1-len(b.words))...)
	}
	b.words[w] |= 1 << (i % 64)
}

func (b *bits) clear(i uint32) {
	if w := int(i / 64); w < len(b.words) {
		b.words[w] &^= 1 << (i % 64)
	}
}

// slots hands out small numbers, and takes them back.
type slots struct {
	next uint32
	free []uint32
}

func (s *slots) take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.next++
	return s.next - 1
}

func (s *slots) give(i uint32) { s.free = append(s.free, i) }
