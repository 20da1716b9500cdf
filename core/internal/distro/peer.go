package distro

import (
	"time"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/registry"
)

const (
	// maxQueue is how many publishers wait to be told to one member; what is more
	// is found by the next sum.
	maxQueue = 200_000
	// maxWants is how many sets are asked for at once.
	maxWants = 20_000
	// askAtOnce is how many buckets are asked for in one message.
	askAtOnce = 16
	// askAgain is when a question counts as lost.
	askAgain = 2 * time.Second
)

// peer is another member, and what is to be told to it. state.mu guards it.
type peer struct {
	id        uint64
	condition Condition
	epoch     uint64    // its newest run that is known
	heard     time.Time // last message, or when it was met
	ahead     bool      // its clock is wrong

	queue    []*record
	queued   map[*record]struct{}
	parts    []*peerv1.DistroSet // of one set that is larger than a message
	partsOf  *record
	verifyAt time.Time // of the next sum
	answers  bucketSet // that it asked for
	asks     bucketSet // that differ
	askedAt  time.Time // zero: nothing is asked
	wants    []registry.PublisherKey
	giving   int // the next bucket to send whole; buckets: none
	tellDone bool
	pull     bool // everything is to be asked of it, or is on its way
	pulledAt time.Time

	staged []*peerv1.DistroSet // parts of a set that have arrived
	room   int                 // bytes of them
}

func newPeer(id uint64, now time.Time) *peer {
	return &peer{id: id, condition: Suspect, heard: now, queued: map[*record]struct{}{}, giving: buckets}
}

// add queues a state for a member.
func (p *peer) add(r *record) {
	if _, has := p.queued[r]; has {
		return
	}
	if len(p.queue) >= maxQueue {
		p.drop()
		return
	}
	p.queued[r] = struct{}{}
	p.queue = append(p.queue, r)
}

// drop leaves what waits to the next sum.
func (p *peer) drop() {
	p.queue, p.queued = nil, map[*record]struct{}{}
	p.verifyAt = time.Time{}
}

// shift takes the oldest of the queue; nil when it is empty.
func (p *peer) shift() *record {
	if len(p.queue) == 0 {
		p.queue = nil
		return nil
	}
	r := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	delete(p.queued, r)
	return r
}

// tell queues a state for all members in reach. The others ask when they are
// back.
func (s *state) tell(r *record) {
	for _, id := range s.order {
		if p := s.peers[id]; p.condition != Down {
			p.add(r)
		}
	}
}

// bucketSet is some buckets, each once, in the order in which they came.
type bucketSet struct {
	list []uint32
	has  [buckets / 64]uint64
}

func (b *bucketSet) add(i uint32) {
	if i >= buckets || b.has[i/64]&(1<<(i%64)) != 0 {
		return
	}
	b.has[i/64] |= 1 << (i % 64)
	b.list = append(b.list, i)
}

func (b *bucketSet) take() (uint32, bool) {
	if len(b.list) == 0 {
		return 0, false
	}
	i := b.list[0]
	b.list = b.list[1:]
	b.has[i/64] &^= 1 << (i % 64)
	return i, true
}
