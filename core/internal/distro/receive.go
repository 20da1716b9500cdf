package distro

import (
	"fmt"
	"time"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/registry"
)

// maxStaged bounds a set that comes in parts.
const maxStaged = 256 << 20

// receive takes a message of another member in.
func (s *state) receive(from uint64, m *peerv1.DistroMessage, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[from]
	if p == nil || !s.active {
		return errStranger
	}
	s.hear(p, m.GetEpoch(), now)
	if m.GetEpoch() < p.epoch {
		return fmt.Errorf("message of run %d, known is %d", m.GetEpoch(), p.epoch)
	}
	s.follow(p, m.GetTime())
	s.flush(now)
	for _, set := range m.GetSets() {
		if whole := p.stage(set); whole != nil {
			s.take(p, whole, now)
		}
	}
	if len(m.GetDigest()) == buckets {
		s.compareSums(p, m.GetDigest())
	}
	for _, b := range m.GetBuckets() {
		s.compareBucket(p, b, m.GetClock(), now)
	}
	for _, i := range m.GetAsk() {
		p.answers.add(i)
	}
	for _, k := range m.GetWant() {
		if r := s.records.byKey[keyIn(k)]; r != nil {
			p.add(r)
		}
	}
	if m.GetPull() {
		p.giving, p.tellDone = 0, true
	}
	if m.GetDone() && p.pull {
		p.pull = false
		p.verifyAt = time.Time{}
		s.sync(now)
	}
	return nil
}

// hear notes that a member lives.
func (s *state) hear(p *peer, epoch uint64, now time.Time) {
	if epoch > p.epoch {
		p.epoch = epoch
		p.verifyAt = time.Time{} // it knows nothing
	}
	if now.Sub(p.heard) >= contact {
		p.verifyAt = time.Time{}
	}
	if now.Sub(s.heard) >= estranged {
		s.estrange()
	}
	p.heard, s.heard = now, now
}

// follow lets the clock by which clients are told times not be behind that of another
// member, so that they may move (NAC-QRK-02).
func (s *state) follow(p *peer, told int64) {
	ok := s.catalog.Clock().Follow(told)
	if !ok && !p.ahead {
		s.settings.Logger.Warn("clock of a member is too far ahead to be followed: clients that come from there may not see changes until it is right",
			zap.String("member", fmt.Sprintf("%016x", p.id)), zap.Time("told", time.UnixMilli(told)))
	}
	p.ahead = !ok
}

// take reads and merges one state.
func (s *state) take(p *peer, set *peerv1.DistroSet, now time.Time) {
	a, err := setIn(set)
	if err != nil {
		s.settings.Meters.refused.Inc()
		s.settings.Logger.Warn("publisher of another member not read", zap.String("client", set.GetKey().GetScope()), zap.Error(err))
		return
	}
	s.settings.Meters.received.Inc()
	s.merge(p, a, now)
}

// stage joins the parts of a set; it returns a set that is whole, nil before.
func (p *peer) stage(set *peerv1.DistroSet) *peerv1.DistroSet {
	if set.GetPart() == 0 {
		p.staged, p.room = nil, 0
		if !set.GetMore() {
			return set
		}
	} else if len(p.staged) != int(set.GetPart()) || !follows(p.staged[0], set) {
		p.staged, p.room = nil, 0
		return nil
	}
	p.staged = append(p.staged, set)
	if p.room += sizeOf(set); p.room > maxStaged {
		p.staged, p.room = nil, 0
		return nil
	}
	if set.GetMore() {
		return nil
	}
	whole := p.staged[0]
	for _, part := range p.staged[1:] {
		whole.Instances = append(whole.Instances, part.GetInstances()...)
	}
	p.staged, p.room = nil, 0
	return whole
}

func follows(first, next *peerv1.DistroSet) bool {
	return keyIn(first.GetKey()) == keyIn(next.GetKey()) && stampIn(first.GetStamp()) == stampIn(next.GetStamp())
}

// compareSums finds the buckets in which another member knows something else of
// what it answers for.
func (s *state) compareSums(p *peer, theirs []uint64) {
	ours := s.digest(p.id)
	differ := 0
	for i := range ours {
		if ours[i] != theirs[i] {
			differ++
			p.asks.add(uint32(i))
			continue
		}
		s.records.in(i, func(r *record) {
			if r.answer == p.id {
				r.seen = s.seen
			}
		})
	}
	s.settings.Meters.differed.Add(float64(differ))
}

// compareBucket follows a member in what it answers for.
func (s *state) compareBucket(p *peer, b *peerv1.DistroBucket, clock uint64, now time.Time) {
	if b.GetIndex() >= buckets {
		return
	}
	p.askedAt = time.Time{}
	theirs := make(map[registry.PublisherKey]bool, len(b.GetEntries()))
	for _, e := range b.GetEntries() {
		k, v := keyIn(e.GetKey()), version{stampIn(e.GetStamp()), baseIn(e.GetBase())}
		theirs[k] = true
		s.learn(v.stamp.life())
		s.compareEntry(p, k, &v)
	}
	s.records.in(int(b.GetIndex()), func(r *record) {
		if theirs[r.key] || r.gone {
			return
		}
		switch {
		case r.stamp.life() == life{p.id, p.epoch}:
			if r.stamp.Sequence <= clock {
				s.catalog.Drop(r.key)
				s.records.bury(r, r.version, now)
			}
		case r.answer != p.id:
		case r.seen == s.seen:
			p.add(r) // it does not know, or knows better
		default:
			s.catalog.Drop(r.key)
			s.records.forget(r)
		}
	})
}

func (s *state) compareEntry(p *peer, k registry.PublisherKey, theirs *version) {
	r := s.records.byKey[k]
	order := 1
	if r != nil {
		order = theirs.compare(&r.version)
	}
	switch {
	case order > 0:
		if len(p.wants) < maxWants {
			p.wants = append(p.wants, k)
		}
	case order < 0, r.gone:
		p.add(r)
	default:
		r.seen = s.seen
	}
}
