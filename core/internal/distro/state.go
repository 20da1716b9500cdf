package distro

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/registry"
)

// Catalog is the registry of this member, as far as it is replicated.
// *catalog.Engine implements it.
type Catalog interface {
	Replicate(r catalog.Replica) []catalog.Local
	Held(k registry.PublisherKey) (*catalog.Held, bool)
	Place(h *catalog.Held) error
	Drop(k registry.PublisherKey)
	Assign(k registry.PublisherKey, to uint64, stale bool)
	Fates(ks []registry.PublisherKey) []catalog.Fate
	Sync()
	Clock() *registry.Clock
}

// Condition is how well a member is reached.
type Condition uint8

const (
	// Up is a member that answers.
	Up Condition = iota + 1
	// Suspect is one that has not answered lately.
	Suspect
	// Down is one that does not answer.
	Down
	// Leaving is one that is about to stop.
	Leaving
)

// Member is one member of the cluster, this one included.
type Member struct {
	ID        uint64
	Condition Condition
}

// The times of ARC-A07 and around.
const (
	contact   = 5 * time.Second // without a message, a member that is not up is out of sight
	verify    = 5 * time.Second // between sums
	joinLimit = 10 * time.Second
	keepFor   = 30 * time.Second // a stale set, when its service has others and nothing else is set
	keepMost  = 170 * time.Second
	slice     = 10 * time.Second // over which sets are ended
	// estranged is how long a member may have heard nobody before it has to ask
	// whether what it knows is still so.
	estranged = 5 * time.Minute
)

// Settings wire a State.
type Settings struct {
	Member uint64
	Epoch  uint64 // starts of the member, at least 1
	// KeepFor is how long a stale set stays whose service has others; 0: keepFor.
	KeepFor time.Duration
	// Clock counts milliseconds; it orders the claims of several members while
	// they do not know of each other, and may be wrong.
	Clock  func() uint64
	Logger *zap.Logger
	Meters *meters
}

// state is what one member knows. Time comes as an argument, and never goes back.
type state struct {
	settings Settings
	catalog  Catalog
	pending  *pending
	routes   atomic.Pointer[routes] // nil: everything is here

	mu      sync.Mutex // guards what follows
	records records
	peers   map[uint64]*peer
	order   []uint64 // of peers, sorted
	ring    []uint64 // members that answer for what has no connection, sorted
	view    []uint64 // what record.answer was worked out from
	clock   uint64   // sequence
	active  bool     // there are others
	left    bool
	synced  bool
	ready   chan struct{} // closed when synced
	began   time.Time
	ticked  time.Time
	heard   time.Time // anybody, last
	seen    uint32    // generation; grows when this member was estranged
	since   map[life]time.Time
	orphans []*record
	cursor  int // in orphans
}

func newState(s Settings, c Catalog) *state {
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Meters == nil {
		s.Meters = newMeters(nil, nil)
	}
	s.KeepFor = cmp.Or(s.KeepFor, keepFor)
	st := &state{settings: s, catalog: c, pending: newPending(), peers: map[uint64]*peer{}, since: map[life]time.Time{}, ready: make(chan struct{})}
	st.records.init()
	return st
}

func (s *state) self() life { return life{s.settings.Member, s.settings.Epoch} }

// tick does what time asks for: members that came or went, sets to end, ends to
// forget. It is called often.
func (s *state) tick(now time.Time, members []Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return
	}
	if s.began.IsZero() {
		s.began, s.ticked, s.heard = now, now, now
	}
	if now.Sub(s.ticked) >= estranged {
		s.estrange()
	}
	s.ticked = now
	s.meet(now, members)
	defer s.route()
	if !s.switchOn(now) {
		return
	}
	s.flush(now)
	if view := s.outlook(now); !slices.Equal(view, s.view) {
		if s.synced && s.view != nil {
			s.catalog.Sync() // those who were silent meanwhile have their chance (FLT-04)
		}
		s.view = view
		s.reassess(now)
	}
	s.sync(now)
	if n := s.records.expire(now); n > 0 {
		s.settings.Meters.forgotten.Add(float64(n))
	}
	s.sweep(now)
}

// estrange makes everything that is not this member's own unconfirmed.
func (s *state) estrange() {
	s.seen++
	s.settings.Logger.Info("away for long, asking what has become of the registry")
	for _, p := range s.peers {
		p.verifyAt = time.Time{}
	}
}

// meet takes note of who the members are.
func (s *state) meet(now time.Time, members []Member) {
	s.ring = []uint64{s.settings.Member}
	present := make(map[uint64]bool, len(members))
	for _, m := range members {
		if m.ID == s.settings.Member {
			continue
		}
		if m.Condition == Up || m.Condition == Suspect {
			s.ring = append(s.ring, m.ID)
		}
		present[m.ID] = true
		p := s.peers[m.ID]
		if p == nil {
			p = newPeer(m.ID, now)
			p.pull = !s.synced
			s.peers[m.ID] = p
		}
		p.condition = m.Condition
	}
	slices.Sort(s.ring)
	for id := range s.peers {
		if !present[id] {
			delete(s.peers, id)
		}
	}
	s.order = s.order[:0:0]
	for id := range s.peers {
		s.order = append(s.order, id)
	}
	slices.Sort(s.order)
}

// switchOn follows publishers while there are others to tell, or sets of others.
func (s *state) switchOn(now time.Time) bool {
	others := len(s.peers) > 0
	switch {
	case others && !s.active:
		s.active, s.view = true, nil
		for _, l := range s.catalog.Replicate(s.pending) {
			s.pending.Changed(catalog.Changed{Key: l.Key, ByClient: true, Free: l.Free, Stale: l.Stale})
		}
		s.flush(now)
	case !others && s.active && s.alone():
		s.active = false
		s.catalog.Replicate(nil)
		s.pending.clear()
		s.records.init()
		s.orphans, s.since, s.view = nil, map[life]time.Time{}, nil
	}
	if !s.active {
		s.sync(now)
	}
	return s.active
}

// alone says whether nothing here is anybody else's.
func (s *state) alone() bool {
	own := true
	s.records.all(func(r *record) { own = own && (r.gone || r.home == s.settings.Member) })
	return own
}

// sync opens the gate: everybody who can be reached has told what there is
// (CTR-R09).
func (s *state) sync(now time.Time) {
	if s.synced {
		return
	}
	if now.Sub(s.began) < joinLimit {
		for _, p := range s.peers {
			if p.pull && p.condition != Down {
				return
			}
		}
	}
	s.synced = true
	s.route()
	close(s.ready)
	s.catalog.Sync()
}

// live says whether a run of a member is in sight.
func (s *state) live(l life, now time.Time) bool {
	if l.member == s.settings.Member {
		return l.epoch == s.settings.Epoch
	}
	p := s.peers[l.member]
	if p == nil || p.epoch > l.epoch {
		return false
	}
	return p.condition == Up || now.Sub(p.heard) < contact
}

// outlook is everything that live and choose look at.
func (s *state) outlook(now time.Time) []uint64 {
	v := slices.Clone(s.ring)
	v = append(v, 0)
	for _, id := range s.order {
		p := s.peers[id]
		if s.live(life{id, p.epoch}, now) {
			v = append(v, id, p.epoch)
		}
	}
	return v
}

// place works out who answers for a state, and who is its home in the catalog.
func (s *state) place(r *record, now time.Time) (answer, home uint64, orphan bool) {
	l := r.stamp.life()
	ring := choose(r.hash, s.ring)
	switch {
	case r.free:
		return ring, ring, false
	case s.live(l, now):
		return l.member, l.member, false
	case l.member == s.settings.Member: // of a former life
		return ring, 0, true
	}
	return ring, l.member, true
}

// reassess follows members that came or went.
func (s *state) reassess(now time.Time) {
	s.orphans, s.cursor = s.orphans[:0:0], 0
	lives := map[life]bool{}
	s.records.all(func(r *record) {
		if r.gone {
			return
		}
		answer, home, orphan := s.place(r, now)
		if orphan && r.seen != s.seen {
			s.catalog.Drop(r.key) // and nobody has confirmed it for long
			s.records.forget(r)
			return
		}
		r.answer = answer
		if r.home != home || r.orphan != orphan {
			r.home, r.orphan = home, orphan
			s.catalog.Assign(r.key, home, r.stale || orphan)
		}
		if orphan {
			lives[r.stamp.life()] = true
			s.orphans = append(s.orphans, r)
		}
	})
	for l := range s.since {
		if !lives[l] {
			delete(s.since, l)
		}
	}
	for l := range lives {
		s.missed(l, now)
	}
}

// missed notes since when a run of a member is out of sight.
func (s *state) missed(l life, now time.Time) {
	if _, known := s.since[l]; !known {
		s.since[l] = now
	}
}
