package configraft

import (
	"context"
	"sync"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
)

// ringSize is how many batches are remembered for watchers.
const ringSize = 8192

// ring remembers the recent changes. Watchers are cursors into it: one that is
// slow is overtaken and told so, and never holds anybody up.
type ring struct {
	mu      sync.Mutex // guards the rest
	batches [ringSize]configstore.Batch
	next    uint64 // number of the batch to come; number n is at n % ringSize
	floor   kv.Revision
	newest  kv.Revision
	epoch   uint64        // grows when the state is replaced
	moved   chan struct{} // closed at the next batch; nil: nobody waits
}

// publish adds the changes of a revision and wakes the watchers. They take
// copies, so the slot of the batch that is forgotten serves again.
func (r *ring) publish(rev kv.Revision, changes []configstore.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.batches[r.next%ringSize]
	if r.next >= ringSize {
		r.floor = b.Revision
	}
	const usual = 4 // room for more is not worth keeping
	clear(b.Changes)
	if b.Changes = b.Changes[:0]; cap(b.Changes) > usual {
		b.Changes = nil
	}
	b.Changes = append(b.Changes, changes...)
	b.Revision = rev
	r.next++
	r.newest = rev
	r.wake()
}

// wake wakes the watchers that wait; mu is held.
func (r *ring) wake() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// move notes a revision without changes of configs.
func (r *ring) move(rev kv.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = rev
}

// reset forgets everything: the state is that of another history.
func (r *ring) reset(rev kv.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.batches, r.next = [ringSize]configstore.Batch{}, 0
	r.floor, r.newest = rev, rev
	r.wake()
}

// Watch implements configstore.Configs.
func (s *Store) Watch(_ context.Context, q configstore.Query, after kv.Revision) (configstore.Stream, error) {
	r := s.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	st := &stream{ring: r, query: q, epoch: r.epoch, closed: make(chan struct{})}
	switch {
	case after == 0:
		st.cursor, st.mark = r.next, true
	case after < r.floor:
		return nil, kv.ErrCompacted
	default:
		st.cursor = r.next
		for st.cursor > 0 && r.next-st.cursor < ringSize && r.batches[(st.cursor-1)%ringSize].Revision > after {
			st.cursor--
		}
	}
	return st, nil
}

// stream is one watcher.
type stream struct {
	ring   *ring
	query  configstore.Query
	cursor uint64
	epoch  uint64
	mark   bool // the first batch says where the stream begins
	known  map[configstore.Key]struct{}
	once   sync.Once
	closed chan struct{}
}

// Next implements configstore.Stream.
func (s *stream) Next(ctx context.Context) (configstore.Batch, error) {
	for {
		b, moved, err := s.poll()
		if err != nil || moved == nil {
			return b, err
		}
		select {
		case <-moved:
		case <-s.closed:
			return configstore.Batch{}, kv.ErrClosed
		case <-ctx.Done():
			return configstore.Batch{}, ctx.Err()
		}
	}
}

// poll returns what is there, or the channel that tells of more.
func (s *stream) poll() (configstore.Batch, <-chan struct{}, error) {
	r := s.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-s.closed:
		return configstore.Batch{}, nil, kv.ErrClosed
	default:
	}
	if s.epoch != r.epoch || r.next-s.cursor > ringSize {
		return configstore.Batch{}, nil, kv.ErrCompacted
	}
	if s.mark {
		s.mark = false
		return configstore.Batch{Revision: r.newest}, nil, nil
	}
	var out configstore.Batch
	if n := r.next - s.cursor; n > 0 && !restricted(&s.query) {
		out.Changes = make([]configstore.Change, 0, min(n, kv.MaxPage))
	}
	for ; s.cursor < r.next && len(out.Changes) < kv.MaxPage; s.cursor++ {
		b := &r.batches[s.cursor%ringSize]
		for _, c := range b.Changes {
			if s.wants(&c) {
				out.Changes = append(out.Changes, c)
				out.Revision = b.Revision
			}
		}
	}
	if len(out.Changes) == 0 {
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		return out, r.moved, nil
	}
	return out, nil, nil
}

// wants says whether a change is the watcher's: its item matches, or is gone,
// or matched when it was last delivered.
func (s *stream) wants(c *configstore.Change) bool {
	if !matchKey(&s.query, &c.Key) {
		return false
	}
	if !restricted(&s.query) {
		return true
	}
	_, had := s.known[c.Key]
	if c.Head != nil && matchHead(&s.query, c.Head) {
		if s.known == nil {
			s.known = map[configstore.Key]struct{}{}
		}
		s.known[c.Key] = struct{}{}
		return true
	}
	delete(s.known, c.Key)
	return had || c.Head == nil
}

// Close implements configstore.Stream.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}
