package catalog

import (
	"cmp"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/btree"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/registry"
)

// keepGone is how long a service without settings and instances is remembered
// (CTR-M01).
const keepGone = time.Minute

// maxGone bounds how many are remembered.
const maxGone = 100_000

// epoch begins the versions of snapshots (CTR-R02).
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Engine implements registry.Catalog. Ephemeral gives the writing side to one
// plugin.
type Engine struct {
	settings Settings
	meters   *meters
	services table[service, *service] // written under mu
	kick     chan struct{}            // room for one: the wheel is needed
	clock    registry.Clock           // of what is told with snapshots
	names    atomic.Pointer[tree]     // a copy of sorted; nil: take a new one

	mu         sync.Mutex // guards what follows and all that hangs on it
	publishers table[publisher, *publisher]
	sorted     *tree // services that are not gone
	intern     interner
	oldest     *service // the list of services by their last change
	newest     *service
	streams    []*stream
	slots      slots
	gone       []farewell
	mostGone   int // maxGone
	most       int // registry.MaxInstances
	overrides  map[registry.ServiceKey]map[address]*Laid
	laid       int              // overrides
	spaces     map[string]int64 // services by namespace
	instances  int
	healthy    int
	synced     bool
	replica    Replica // nil: nobody is told
	wheel      wheel
	late       time.Duration // passed, and less than a tick
	warm       time.Time     // before which nothing ends; counts once synced
	version    uint64
	observed   bool   // somebody may have seen version: the next change gets a higher one
	forgotten  uint64 // no service that went after this version has been forgotten
}

type tree = btree.BTreeG[*service]

var _ registry.Catalog = (*Engine)(nil)

// seed is random per process; it keeps strangers from choosing collisions.
var seed = maphash.MakeSeed()

// Settings wire an engine.
type Settings struct {
	Member uint64
	// Linger is how long an override outlives its instance; 0: a minute.
	Linger time.Duration
	// Warmup is how long after Sync nothing ends for its silence; 0: 5 seconds.
	Warmup time.Duration
	Logger *zap.Logger           // nil: none
	Meters prometheus.Registerer // nil: none
}

// New returns an empty catalog.
func New(s Settings) *Engine {
	s.Linger = max(cmp.Or(s.Linger, time.Minute), looks)
	s.Warmup = cmp.Or(s.Warmup, 5*time.Second)
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	e := &Engine{settings: s, spaces: map[string]int64{}, observed: true, mostGone: maxGone, most: registry.MaxInstances, overrides: map[registry.ServiceKey]map[address]*Laid{}}
	e.kick = make(chan struct{}, 1)
	e.wheel.init()
	e.services.init()
	e.publishers.init()
	e.sorted = btree.NewBTreeGOptions(func(a, b *service) bool {
		return compareKeys(&a.key, &b.key) < 0
	}, btree.Options{NoLocks: true})
	e.meters = newMeters(e, s.Meters)
	return e
}

// begin locks the catalog for a change, and forgets what is long gone.
func (e *Engine) begin() {
	e.mu.Lock()
	e.forget(time.Now())
}

// find returns a service, nil when it is not known. It takes no lock.
func (e *Engine) find(k *registry.ServiceKey) *service { return e.known(hashService(k), k) }

func (e *Engine) known(h uint64, k *registry.ServiceKey) *service {
	return e.services.find(h, func(s *service) bool { return s.key == *k })
}

// service returns a service, made when it is not there. The caller adds
// something to it.
func (e *Engine) service(k *registry.ServiceKey) *service {
	h := hashService(k)
	if s := e.known(h, k); s != nil {
		return s
	}
	s := &service{
		key: registry.ServiceKey{
			Namespace: e.intern.text(k.Namespace), Group: e.intern.text(k.Group), Name: clone(k.Name),
		},
		slot: e.slots.take(), gone: true,
	}
	e.services.add(h, s)
	e.append(s)
	return s
}

// touch notes that a service has changed: its version grows, its snapshot is
// built anew when somebody reads it, streams deliver it.
func (e *Engine) touch(s *service) {
	now := time.Now()
	e.meters.changes.Inc()
	if e.observed {
		e.version++
		e.observed = false
	}
	e.version = max(e.version, millis(now))
	s.version = e.version
	if snap := s.snapshot.Swap(nil); snap != nil {
		s.told = snap.Moment.End()
	}
	if gone := len(s.list) == 0 && s.settings == nil; gone != s.gone {
		e.turn(s, gone, now)
	}
	if e.newest != s {
		e.unlink(s)
		e.append(s)
	}
	e.wake(s)
}

func millis(t time.Time) uint64 { return uint64(max(0, t.Sub(epoch).Milliseconds())) }

// turn makes a service gone, or brings it back.
func (e *Engine) turn(s *service, gone bool, now time.Time) {
	s.gone = gone
	if gone {
		e.sorted.Delete(s)
		e.spaces[s.key.Namespace]--
		if e.spaces[s.key.Namespace] == 0 {
			delete(e.spaces, s.key.Namespace)
		}
		s.list, s.shared, s.owners = nil, false, ownerNone
		e.gone = append(e.gone, farewell{service: s, version: s.version, at: now})
	} else {
		e.sorted.Set(s)
		e.spaces[s.key.Namespace]++
		s.told = max(s.told, e.clock.Now()) // those who asked were told that it is not there
	}
	e.names.Store(nil)
}

// farewell is a service that went at a version.
type farewell struct {
	service *service
	version uint64
	at      time.Time
}

// forget drops services that have been gone for long and that no stream has
// still to be told of. It looks at a few, so that no change pays for all.
func (e *Engine) forget(now time.Time) {
	const atOnce = 4
	for range atOnce {
		crowded := len(e.gone) > e.mostGone
		if len(e.gone) == 0 || now.Sub(e.gone[0].at) < keepGone && !crowded {
			return
		}
		f := e.gone[0]
		e.gone = e.gone[1:]
		switch s := f.service; {
		case !s.gone || s.version != f.version || s.slot == forgotten: // came back, or went again
		case crowded:
			e.overtake(s)
			e.drop(s)
		case e.awaited(s):
			f.at = now // the slowest stream holds it for another minute
			e.gone = append(e.gone, f)
		default:
			e.drop(s)
		}
	}
}

// overtake ends the streams that have still to be told of a service: so many went
// that their readers are not slow but stuck.
func (e *Engine) overtake(s *service) {
	for _, st := range e.streams {
		if st.given.has(s.slot) && !st.overtaken {
			st.overtaken = true
			st.rouse()
			e.meters.overtaken.Inc()
		}
	}
}

// awaited says whether a stream has still to deliver the end of a service.
func (e *Engine) awaited(s *service) bool {
	for _, st := range e.streams {
		if st.given.has(s.slot) && !st.overtaken {
			return true
		}
	}
	return false
}

// drop forgets a service altogether.
func (e *Engine) drop(s *service) {
	e.forgotten = max(e.forgotten, s.version)
	e.unlink(s)
	e.services.drop(s.hash(), s)
	e.slots.give(s.slot)
	s.slot = forgotten
}

// append puts a service at the end of the list.
func (e *Engine) append(s *service) {
	s.prev, s.next = e.newest, nil
	if e.newest != nil {
		e.newest.next = s
	} else {
		e.oldest = s
	}
	e.newest = s
}

// unlink takes a service out of the list; streams that would deliver it next go
// on with the one behind it.
func (e *Engine) unlink(s *service) {
	for _, st := range e.streams {
		if st.at == s {
			st.at = s.next
		}
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		e.oldest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		e.newest = s.prev
	}
	s.prev, s.next = nil, nil
}

// Sync says that everything there is has been read: Stats tells it to those who
// would act on absence (CTR-R09). From a while later on instances that are silent
// may end (FLT-04): those who were not heard in between had their chance.
func (e *Engine) Sync() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.synced = true
	e.warm = time.Now().Add(e.settings.Warmup)
}

// Clock is the one by which times are told with snapshots.
func (e *Engine) Clock() *registry.Clock { return &e.clock }

// Counts is the number of services in each namespace.
func (e *Engine) Counts() map[string]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.spaces)
}

// seen returns the version up to which everything can be read now.
func (e *Engine) seen() uint64 {
	e.observed = true
	return e.version
}
