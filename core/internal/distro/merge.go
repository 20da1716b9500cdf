package distro

import (
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/registry"
)

// flush stamps what has changed on this member.
func (s *state) flush(now time.Time) {
	for _, c := range s.pending.take() {
		r := s.records.byKey[c.Key]
		switch {
		case !c.Gone:
			s.claim(r, &c, now)
		case r != nil && !r.gone:
			s.end(r, c.ByClient, now)
		}
	}
}

// end stamps that a publisher is gone. Where it is the time that ended what is not
// this member's own, the state is that of the client's last word.
func (s *state) end(r *record, byClient bool, now time.Time) {
	v := r.version
	if byClient {
		v.base = nil
	}
	switch own := r.stamp.life() == s.self(); {
	case own:
		v.stamp = s.again(r, byClient)
	case byClient:
		v.stamp = s.fresh(r.stamp.Incarnation)
	}
	s.bury(r, v, now)
}

// claim stamps what a publisher of this member has now.
func (s *state) claim(r *record, c *catalog.Changed, now time.Time) {
	if r == nil {
		r = s.records.add(c.Key)
	}
	own := !r.gone && r.stamp.life() == s.self()
	switch {
	case c.ByClient:
		r.base = nil
	case r.base == nil && !own && !r.gone:
		before := r.stamp
		r.base = &before
	}
	r.free, r.stale = c.Free, c.Stale
	if own {
		r.stamp = s.again(r, c.ByClient)
	} else {
		r.stamp = s.fresh(r.stamp.Incarnation)
	}
	s.stamped(r, now)
}

// fresh is the stamp of a state that this member makes of somebody else's.
func (s *state) fresh(above uint64) Stamp {
	s.clock++
	return Stamp{max(above+1, s.settings.Clock()), s.settings.Member, s.settings.Epoch, s.clock}
}

// again is the stamp of a newer state of this member's own. Clients without a
// connection may have spoken to two members that do not hear each other: there
// the later word counts, as far as clocks go.
func (s *state) again(r *record, byClient bool) Stamp {
	s.clock++
	stamp := r.stamp
	stamp.Sequence = s.clock
	if r.free && byClient {
		stamp.Incarnation = max(stamp.Incarnation, s.settings.Clock())
	}
	return stamp
}

// stamped takes a state of this member's own in, and tells all.
func (s *state) stamped(r *record, now time.Time) {
	s.records.revive(r)
	home := r.home
	r.seen = s.seen
	r.answer, r.home, r.orphan = s.place(r, now)
	if r.home != s.settings.Member || home != r.home {
		s.catalog.Assign(r.key, r.home, r.stale)
	}
	s.tell(r)
}

// bury ends a publisher that the catalog has no more, and tells all.
func (s *state) bury(r *record, v version, now time.Time) {
	s.records.bury(r, v, now)
	s.tell(r)
}

// mine says whether a client of this publisher is connected here.
func (s *state) mine(r *record) bool {
	return r != nil && !r.gone && !r.free && r.stamp.life() == s.self()
}

// arrived is the state of a publisher as another member told it.
type arrived struct {
	key registry.PublisherKey
	version
	gone bool
	free bool
	held *catalog.Held // nil: gone
}

// merge takes a state in, if it is newer than the one here; if it is older, the
// other member is told.
func (s *state) merge(from *peer, a *arrived, now time.Time) {
	s.learn(a.stamp.life())
	r := s.records.byKey[a.key]
	order := 1
	if r != nil {
		order = a.compare(&r.version)
	}
	switch {
	case order == 0 && a.gone == r.gone:
		r.seen = s.seen
	case order < 0, order == 0 && r.gone:
		from.add(r)
	case s.mine(r) && !s.rival(a, now):
		s.reclaim(r, &a.stamp, now)
	case a.gone:
		s.accept(r, a, now)
	case a.stamp.life() == s.self() && (r == nil || r.gone):
		s.deny(r, a, now)
	default:
		s.accept(r, a, now)
	}
}

// learn notes a newer run of a member.
func (s *state) learn(l life) {
	if p := s.peers[l.member]; p != nil && l.epoch > p.epoch {
		p.epoch = l.epoch
	}
}

// rival says whether a client of this member has itself gone to another one.
func (s *state) rival(a *arrived, now time.Time) bool {
	return !a.gone && a.base == nil && !a.free && a.stamp.Member != s.settings.Member && s.live(a.stamp.life(), now)
}

// reclaim tells those who took a client for gone that it is here.
func (s *state) reclaim(r *record, above *Stamp, now time.Time) {
	s.settings.Meters.reclaimed.Inc()
	r.version = version{stamp: s.fresh(max(r.stamp.Incarnation, above.Incarnation))}
	s.stamped(r, now)
}

// deny ends a state of this run of this member that it has itself forgotten.
func (s *state) deny(r *record, a *arrived, now time.Time) {
	if r == nil {
		r = s.records.add(a.key)
	}
	s.bury(r, a.version, now)
}

func (s *state) accept(r *record, a *arrived, now time.Time) {
	fresh := r == nil
	if fresh {
		r = s.records.add(a.key)
	}
	if a.gone {
		if !r.gone {
			s.catalog.Drop(r.key)
		}
		s.records.bury(r, a.version, now)
		r.free = a.free
		r.answer, _, _ = s.place(r, now)
		s.passOn(r)
		return
	}
	before := *r
	r.version, r.free, r.stale, r.seen = a.version, a.free, a.held.Publisher.Stale, s.seen
	r.answer, r.home, r.orphan = s.place(r, now)
	a.held.Publisher.Member, a.held.Publisher.Stale = r.home, r.stale || r.orphan
	if err := s.catalog.Place(a.held); err != nil {
		s.settings.Meters.refused.Inc()
		s.settings.Logger.Warn("publisher of another member not taken", zap.String("client", a.key.Scope), zap.Error(err))
		if before.pos = r.pos; fresh {
			s.records.forget(r)
		} else {
			*r = before
		}
		return
	}
	s.records.revive(r)
	if r.orphan {
		s.missed(r.stamp.life(), now)
		if !before.orphan || before.gone {
			s.orphans = append(s.orphans, r)
		}
	}
	s.passOn(r)
}

// passOn tells all what another member knew better of a publisher that this one
// answers for: they look here.
func (s *state) passOn(r *record) {
	if r.answer == s.settings.Member {
		s.tell(r)
	}
}
