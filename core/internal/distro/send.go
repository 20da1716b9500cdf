package distro

import (
	"time"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/registry"
)

// maxMessage is about how many bytes one message has; one set may be larger.
const maxMessage = 1 << 20

// outgoing is a message on its way, and what must be done again if it is lost.
type outgoing struct {
	message *peerv1.DistroMessage
	records []*record
	answers []uint32
	wants   []registry.PublisherKey
	from    int // bucket from which everything was given; -1: nothing was
	digest  bool
	room    int // bytes left
}

// next is what is to be told to a member now; nil: nothing. It is called again
// when the message has arrived or is lost, and sent has been told.
func (s *state) next(to uint64, now time.Time) *outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[to]
	if p == nil || !s.active || p.condition == Down {
		return nil
	}
	s.flush(now)
	o := &outgoing{message: &peerv1.DistroMessage{}, from: -1, room: maxMessage}
	m := o.message
	m.Time = s.catalog.Clock().Now()
	m.Epoch, m.Clock = s.settings.Epoch, s.clock // of the answers, whatever is stamped while sets are read
	s.putAnswers(p, o)
	s.putQueue(p, o, now)
	s.putQuestions(p, o, now)
	s.putEverything(p, o, now)
	// What waits differs anyway, so sums follow it; but not for ever.
	waits := len(p.queue)+len(p.parts) > 0
	if !now.Before(p.verifyAt) && (!waits || now.Sub(p.verifyAt) >= verify) {
		p.verifyAt, o.digest = now.Add(verify), true
		m.Digest = s.digest(s.settings.Member)
	}
	if o.empty() {
		return nil
	}
	return o
}

func (o *outgoing) empty() bool {
	m := o.message
	return len(m.GetSets())+len(m.GetBuckets())+len(m.GetAsk())+len(m.GetWant())+len(m.GetDigest()) == 0 && !m.GetPull() && !m.GetDone()
}

// putQueue adds what has changed.
func (s *state) putQueue(p *peer, o *outgoing, now time.Time) {
	if len(p.parts) > 0 {
		s.putPart(p, o)
		return
	}
	for o.room > 0 {
		r := p.shift()
		if r == nil || !s.putSet(p, o, r, now) {
			return
		}
	}
}

// putSet adds one state; false: it fills the message.
func (s *state) putSet(p *peer, o *outgoing, r *record, now time.Time) bool {
	parts := s.render(r, now)
	if len(parts) > 1 {
		p.parts, p.partsOf = parts, r
		if len(o.records) == 0 {
			s.putPart(p, o)
		}
		return false
	}
	for _, set := range parts {
		o.room -= sizeOf(set)
		o.message.Sets = append(o.message.Sets, set)
		o.records = append(o.records, r)
	}
	return true
}

// putPart adds one part of a large set, alone.
func (s *state) putPart(p *peer, o *outgoing) {
	o.message.Sets = append(o.message.Sets, p.parts[0])
	o.records = append(o.records, p.partsOf)
	o.room = 0
	if p.parts = p.parts[1:]; len(p.parts) == 0 {
		p.partsOf = nil
	}
}

// putAnswers adds what stands in the buckets that were asked for: the states this
// member answers for, and those it has made itself.
func (s *state) putAnswers(p *peer, o *outgoing) {
	for o.room > 0 {
		i, some := p.answers.take()
		if !some {
			return
		}
		o.answers = append(o.answers, i)
		b := &peerv1.DistroBucket{Index: i}
		s.records.in(int(i), func(r *record) {
			if r.gone || r.answer != s.settings.Member && r.stamp.life() != s.self() {
				return
			}
			b.Entries = append(b.Entries, &peerv1.DistroEntry{Key: keyOut(&r.key), Stamp: stampOut(&r.stamp), Base: baseOut(r.base)})
			o.room -= len(r.key.Owner) + len(r.key.Scope) + 40
		})
		o.message.Buckets = append(o.message.Buckets, b)
	}
}

// putQuestions adds what this member wants to know.
func (s *state) putQuestions(p *peer, o *outgoing, now time.Time) {
	if p.pull && (p.pulledAt.IsZero() || now.Sub(p.pulledAt) >= verify && now.Sub(p.heard) >= askAgain) {
		o.message.Pull, p.pulledAt = true, now
	}
	if n := min(len(p.wants), maxWants); n > 0 {
		o.wants, p.wants = p.wants[:n], p.wants[n:]
		for i := range o.wants {
			o.message.Want = append(o.message.Want, keyOut(&o.wants[i]))
		}
	}
	if !p.askedAt.IsZero() && now.Sub(p.askedAt) < askAgain {
		return
	}
	for range askAtOnce {
		i, some := p.asks.take()
		if !some {
			break
		}
		o.message.Ask = append(o.message.Ask, i)
	}
	if p.askedAt = (time.Time{}); len(o.message.GetAsk()) > 0 {
		p.askedAt = now
	}
}

// putEverything adds, bucket by bucket, what this member answers for, and what
// the other one will.
func (s *state) putEverything(p *peer, o *outgoing, now time.Time) {
	if p.giving < buckets && len(p.parts) == 0 && len(p.queue) == 0 {
		o.from = p.giving
		for ; p.giving < buckets && o.room > 0; p.giving++ {
			s.records.in(p.giving, func(r *record) {
				if r.gone || r.answer != s.settings.Member && r.answer != p.id {
					return
				}
				if o.room <= 0 {
					p.add(r)
					return
				}
				s.putSet(p, o, r, now)
			})
		}
	}
	if p.tellDone && p.giving >= buckets && len(p.queue) == 0 && len(p.parts) == 0 {
		p.tellDone, o.message.Done = false, true
	}
}

// sent says what became of a message.
func (s *state) sent(to uint64, o *outgoing, ok bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[to]
	if p == nil {
		return
	}
	m := o.message
	if ok {
		s.settings.Meters.sent.Add(float64(len(m.GetSets())))
		return
	}
	s.settings.Meters.lost.Inc()
	for _, r := range o.records {
		p.add(r)
	}
	if len(p.parts) > 0 {
		p.add(p.partsOf)
		p.parts, p.partsOf = nil, nil
	}
	for _, i := range o.answers {
		p.answers.add(i)
	}
	for _, i := range m.GetAsk() {
		p.asks.add(i)
	}
	p.wants = append(p.wants, o.wants...)
	if len(p.wants) > maxWants {
		p.wants = p.wants[:maxWants]
	}
	if len(m.GetAsk()) > 0 {
		p.askedAt = time.Time{}
	}
	if o.digest {
		p.verifyAt = now
	}
	if m.GetPull() {
		p.pulledAt = time.Time{}
	}
	if o.from >= 0 {
		p.giving = min(p.giving, o.from)
	}
	p.tellDone = p.tellDone || m.GetDone()
}

// digest is the sums over what a member answers for, as this one knows it.
func (s *state) digest(member uint64) []uint64 {
	out := make([]uint64, buckets)
	s.records.all(func(r *record) {
		if !r.gone && r.answer == member {
			out[r.bucket()] += r.sum(r.hash)
		}
	})
	return out
}
