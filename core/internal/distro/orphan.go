package distro

import (
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// sweepMost is how many stale sets are looked at in one tick.
const sweepMost = 2048

// sweep ends stale sets that this member answers for, as ARC-A07 says: at once
// when all their addresses are registered elsewhere; after a while when their
// services have others; in the end in any case.
func (s *state) sweep(now time.Time) {
	if !s.synced || len(s.orphans) == 0 {
		return
	}
	var judged []*record
	var keys []registry.PublisherKey
	for range min(sweepMost, len(s.orphans)) {
		if s.cursor >= len(s.orphans) {
			s.cursor = 0
		}
		r := s.orphans[s.cursor]
		if r.gone || !r.orphan {
			last := len(s.orphans) - 1
			s.orphans[s.cursor], s.orphans[last] = s.orphans[last], nil
			if s.orphans = s.orphans[:last]; last == 0 {
				break
			}
			continue
		}
		s.cursor++
		if r.answer == s.settings.Member {
			judged, keys = append(judged, r), append(keys, r.key)
		}
	}
	fates := s.catalog.Fates(keys)
	for i, r := range judged {
		age := now.Sub(s.since[r.stamp.life()]) - time.Duration(r.hash%uint64(slice/time.Millisecond))*time.Millisecond
		switch {
		case r.gone:
			continue // it was listed twice
		case fates[i].Covered, age >= max(keepMost, s.settings.KeepFor), age >= s.settings.KeepFor && !fates[i].Needed:
		default:
			continue
		}
		s.settings.Meters.orphansEnded.Inc()
		s.vouch(fates[i].By)
		s.catalog.Drop(r.key)
		s.bury(r, r.version, now)
	}
}

// vouch tells all of publishers because of which another one is about to end: a
// member that has not heard of them yet would show their services without them.
func (s *state) vouch(by []registry.PublisherKey) {
	for _, k := range by {
		if r := s.records.byKey[k]; r != nil && !r.gone {
			s.tell(r)
		}
	}
}
