package distro

import (
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

const (
	// buckets is how finely sums tell where members differ.
	buckets = 1024
	// keepGone is how long it is remembered that a publisher has ended.
	keepGone = 10 * time.Minute
	// maxGone bounds how many are remembered.
	maxGone = 500_000
)

// record is the state of one publisher as this member knows it. What the
// publisher has stands in the catalog.
type record struct {
	key  registry.PublisherKey
	hash uint64
	version
	home   uint64 // member that the catalog has been told of
	answer uint64 // member that answers for it
	pos    int    // in its bucket
	seen   uint32 // generation of the state in which it was confirmed
	gone   bool
	free   bool
	stale  bool // its plugin says so
	orphan bool // its member is out of sight
}

func (r *record) bucket() int { return int(r.hash % buckets) }

// records are all of a member.
type records struct {
	byKey   map[registry.PublisherKey]*record
	buckets [buckets][]*record
	alive   int
	ends    []end // in order of time
}

// end is when a publisher ended, if it still has the stamp.
type end struct {
	rec   *record
	stamp Stamp
	at    time.Time
}

func (rs *records) init() {
	rs.byKey = map[registry.PublisherKey]*record{}
	rs.buckets = [buckets][]*record{}
	rs.alive, rs.ends = 0, nil
}

// add makes a record that is neither alive nor gone yet: the caller says which.
func (rs *records) add(k registry.PublisherKey) *record {
	r := &record{key: k, hash: hashKey(&k), gone: true}
	b := &rs.buckets[r.bucket()]
	r.pos = len(*b)
	*b = append(*b, r)
	rs.byKey[k] = r
	return r
}

// forget drops a record altogether.
func (rs *records) forget(r *record) {
	b := &rs.buckets[r.bucket()]
	last := (*b)[len(*b)-1]
	(*b)[r.pos], last.pos = last, r.pos
	(*b)[len(*b)-1] = nil
	*b = (*b)[:len(*b)-1]
	delete(rs.byKey, r.key)
	if !r.gone {
		rs.alive--
	}
	r.gone = true
}

func (rs *records) revive(r *record) {
	if r.gone {
		rs.alive++
	}
	r.gone = false
}

// bury notes that a publisher is gone, as of a version.
func (rs *records) bury(r *record, v version, now time.Time) {
	if !r.gone {
		rs.alive--
	}
	r.gone, r.version, r.orphan = true, v, false
	rs.ends = append(rs.ends, end{r, v.stamp, now})
}

// expire forgets ends of long ago, and the oldest of too many. It returns how
// many of the latter there were.
func (rs *records) expire(now time.Time) (early int) {
	for len(rs.ends) > 0 {
		e := rs.ends[0]
		old := now.Sub(e.at) >= keepGone
		if !old && len(rs.ends) <= maxGone {
			break
		}
		rs.ends[0] = end{}
		rs.ends = rs.ends[1:]
		if e.rec.gone && e.rec.stamp == e.stamp && rs.byKey[e.rec.key] == e.rec {
			rs.forget(e.rec)
			if !old {
				early++
			}
		}
	}
	return early
}

// all calls fn for every record; fn may forget the one it is given.
func (rs *records) all(fn func(*record)) {
	for b := range rs.buckets {
		rs.in(b, fn)
	}
}

// in calls fn for the records of one bucket, the last first.
func (rs *records) in(b int, fn func(*record)) {
	for _, r := range slices.Backward(rs.buckets[b]) {
		fn(r)
	}
}
