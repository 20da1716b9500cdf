package distro

import (
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// leave ends everything, as it stands.
func (s *state) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return
	}
	s.left, s.active = true, false
	s.catalog.Replicate(nil)
	s.pending.clear()
	s.routes.Store(nil)
}

// routes is where publishers are, for those who write.
type routes struct {
	ring   []uint64
	synced bool
}

// route publishes what writers need of the state.
func (s *state) route() {
	if !s.active {
		s.routes.Store(nil)
		return
	}
	if r := s.routes.Load(); r == nil || r.synced != s.synced || !slices.Equal(r.ring, s.ring) {
		s.routes.Store(&routes{s.ring, s.synced})
	}
}

// stampAll stamps at once what has changed here.
func (s *state) stampAll(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active {
		s.flush(now)
	}
}

// show is the state of publishers, for somebody who has just had them changed.
func (s *state) show(ks []registry.PublisherKey, now time.Time) (sets []*peerv1.DistroSet, clock uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(now)
	for _, k := range ks {
		r := s.records.byKey[k]
		if r == nil {
			continue
		}
		if parts := s.render(r, now); len(parts) == 1 {
			sets = append(sets, parts[0])
		}
	}
	return sets, s.clock
}

// unheard is the state of a publisher that another member may not know and is to
// change: it must not fall behind.
func (s *state) unheard(k registry.PublisherKey, to uint64, now time.Time) []*peerv1.DistroSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(now)
	r := s.records.byKey[k]
	if r == nil || r.stamp.Member == to {
		return nil
	}
	if parts := s.render(r, now); len(parts) == 1 {
		return parts
	}
	return nil
}

// absorb takes what another member has shown.
func (s *state) absorb(from uint64, sets []*peerv1.DistroSet, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[from]
	if p == nil || !s.active {
		return
	}
	s.flush(now)
	for _, set := range sets {
		if set.GetPart() == 0 && !set.GetMore() {
			s.take(p, set, now)
		}
	}
}
