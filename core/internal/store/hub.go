package store

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// maxBehind is how many matching revisions a watcher may leave unread.
const maxBehind = 1 << 10

// hub tells watchers what changed. It keeps one ring of events for all; a
// watcher is a position in it. Publishing costs the events and the watchers
// that match, and never waits for a watcher.
type hub struct {
	maxStreams int
	progress   time.Duration

	mu      sync.Mutex // guards what follows, and the shared part of every stream
	ring    ring
	rev     kv.Revision // published
	tables  map[fsm.TableID]*audience
	streams int
	closed  bool
}

// audience holds the streams of one table by prefix. An event's key is looked
// up once per length of prefix in use.
type audience struct {
	lengths  []int // ascending
	byPrefix map[string][]*stream
}

func newHub(o *Options) *hub {
	return &hub{
		maxStreams: o.MaxWatchers, progress: o.ProgressEvery,
		ring:   ring{maxEvents: o.RingEvents, maxBytes: o.RingBytes},
		tables: map[fsm.TableID]*audience{},
	}
}

// publish remembers revisions and wakes who waits for them.
func (h *hub) publish(revs []revision) {
	events, total := 0, 0
	for _, r := range revs {
		total += len(r.changes)
	}
	// One array for the batch; cold rows are left out, their values are not to
	// be kept in memory.
	kept := make([]fsm.Change, 0, total)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range revs {
		m := moment{rev: r.rev}
		for _, c := range r.changes {
			if c.Cold || c.Table < fsm.FirstTable {
				continue
			}
			kept = append(kept, c)
			m.bytes += weigh(&c)
		}
		m.events, events = kept[events:len(kept):len(kept)], len(kept)
		h.rev = m.rev
		if len(m.events) > 0 {
			h.ring.add(m)
			h.wake(&m)
		}
	}
}

// wake finds the streams that want an event of m. The caller holds mu.
func (h *hub) wake(m *moment) {
	for i := range m.events {
		a := h.tables[m.events[i].Table]
		if a == nil {
			continue
		}
		key := m.events[i].Record.Key
		for _, n := range a.lengths {
			if n > len(key) {
				break
			}
			for _, st := range a.byPrefix[string(key[:n])] {
				st.notify(m.rev)
			}
		}
	}
}

// watch opens a stream.
func (h *hub) watch(w WatchOptions) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, kv.ErrClosed
	case w.After != 0 && w.After < h.ring.floor:
		return nil, fmt.Errorf("watch after revision %d, remembered is %d: %w", w.After, h.ring.floor, kv.ErrCompacted)
	case h.streams >= h.maxStreams:
		return nil, fmt.Errorf("watch: %w: %d streams are open", kv.ErrOverloaded, h.streams)
	}
	st := &stream{
		hub: h, want: w, prefix: string(w.Prefix),
		ready: make(chan struct{}, 1), ended: make(chan struct{}),
		seen: w.After, pos: h.ring.end, markAt: time.Now().Add(h.progress),
	}
	if w.After == 0 {
		st.seen, st.fresh = h.rev, true
	} else {
		st.pos = h.ring.after(w.After)
	}
	if st.pos < h.ring.end {
		wake(st.ready)
	}
	h.join(st)
	return st, nil
}

func (h *hub) join(st *stream) {
	h.streams++
	a := h.tables[st.want.Table]
	if a == nil {
		a = &audience{byPrefix: map[string][]*stream{}}
		h.tables[st.want.Table] = a
	}
	a.byPrefix[st.prefix] = append(a.byPrefix[st.prefix], st)
	if i, ok := slices.BinarySearch(a.lengths, len(st.prefix)); !ok {
		a.lengths = slices.Insert(a.lengths, i, len(st.prefix))
	}
}

// end takes a stream out, with what its Next returns from now on. The caller
// holds mu.
func (h *hub) end(st *stream, err error) {
	if st.err != nil {
		return
	}
	st.err = err
	close(st.ended)
	h.streams--
	a := h.tables[st.want.Table]
	left := slices.DeleteFunc(slices.Clone(a.byPrefix[st.prefix]), func(x *stream) bool { return x == st })
	if len(left) > 0 {
		a.byPrefix[st.prefix] = left
		return
	}
	delete(a.byPrefix, st.prefix)
	if len(a.byPrefix) == 0 {
		delete(h.tables, st.want.Table)
		return
	}
	a.lengths = a.lengths[:0]
	for p := range a.byPrefix {
		a.lengths = append(a.lengths, len(p))
	}
	slices.Sort(a.lengths)
	a.lengths = slices.Compact(a.lengths)
}

// reset forgets all events and ends all streams: the state jumped to rev.
func (h *hub) reset(rev kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.reset(rev)
	h.rev = rev
	h.endAll(fmt.Errorf("watch: state replaced: %w", kv.ErrCompacted))
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.endAll(kv.ErrClosed)
}

func (h *hub) endAll(err error) {
	var all []*stream
	for _, a := range h.tables {
		for _, sts := range a.byPrefix {
			all = append(all, sts...)
		}
	}
	for _, st := range all {
		h.end(st, err)
	}
}
