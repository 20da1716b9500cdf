package catalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// beat is what keeps one instance alive. A sign of life writes last and nothing
// else; when the wheel fires, how long the instance has been silent is worked
// out, and the next tick to look at it. Engine.mu guards it.
type beat struct {
	prev, next *beat // nil: not in the wheel
	due        uint64
	last       uint64 // tick of the last sign of life
	publisher  *publisher
	service    *service
	instance   *registry.Instance // names it
	silent     bool               // Critical for its silence
}

// pauseAfter is how late a tick may be before the process counts as paused. The
// clock of beats stands still in a pause, however short the times of an instance:
// clients could not be heard (REL-09).
const pauseAfter = time.Second

// beats is the beating instances of a publisher, sorted like its placements.
type beats []*beat

func (bs beats) place(k *ident) (int, bool) {
	return search(len(bs), func(i int) int { return (&placed{bs[i].service, bs[i].instance}).compare(k) })
}

func (bs beats) find(k *ident) *beat {
	if i, found := bs.place(k); found {
		return bs[i]
	}
	return nil
}

// expiry is the times of an instance that lives by beats.
func expiry(in *registry.Instance) registry.Expiry {
	if in.Rare == nil {
		return registry.Expiry{}
	}
	return in.Rare.Expiry
}

// heed notes that an instance was registered: it lives by beats or it does not,
// and has just given a sign of life.
func (e *Engine) heed(p *publisher, k *ident, in *registry.Instance) {
	lives := expiry(in) != registry.Expiry{}
	b := p.beats().find(k)
	switch {
	case b == nil && !lives:
		return
	case !lives:
		e.unheed(p, k)
		return
	case b == nil:
		b = &beat{publisher: p, service: k.service, instance: in}
		p.addBeat(k, b)
	}
	b.instance, b.silent, b.last = in, false, e.wheel.now
	e.schedule(b)
}

// unheed forgets the beats of an instance that goes.
func (e *Engine) unheed(p *publisher, k *ident) {
	bs := p.beats()
	if len(bs) == 0 {
		return
	}
	if i, found := bs.place(k); found {
		e.wheel.cancel(bs[i])
		p.rest.beats = slices.Delete(bs, i, i+1)
	}
}

// schedule lets the wheel look at an instance when it may have been silent for
// too long.
func (e *Engine) schedule(b *beat) {
	x := expiry(b.instance)
	left := x.Remove
	if !e.owns(b.publisher) {
		left, x.Unhealthy = 0, 0 // its owner counts
	}
	if x.Unhealthy > 0 && !b.silent && (left == 0 || x.Unhealthy < left) {
		left = x.Unhealthy
	}
	if left <= 0 {
		e.wheel.cancel(b)
		return
	}
	if e.wheel.n == 0 {
		select {
		case e.kick <- struct{}{}:
		default: // it is already being woken
		}
	}
	e.wheel.schedule(b, b.last+ticks(left)+1)
}

// warming says that nothing may end yet, and for how long at least (FLT-04).
func (e *Engine) warming() (time.Duration, bool) {
	if !e.synced {
		return time.Second, true
	}
	left := time.Until(e.warm)
	return left, left > 0
}

// lapse judges an instance whose tick has come. A publisher whose last instance
// is removed goes with it: it lived by beats (CTR-M08).
func (e *Engine) lapse(b *beat, changed *touched) {
	if left, warming := e.warming(); warming {
		e.wheel.schedule(b, e.wheel.now+ticks(left)+1)
		return
	}
	x, silent := expiry(b.instance), e.wheel.now-b.last
	k := (&placed{b.service, b.instance}).name()
	switch {
	case x.Remove > 0 && silent > ticks(x.Remove):
		e.meters.expired.Inc()
		e.remove(b.publisher, &k, changed)
		e.note(b.publisher, false, b.publisher.len() == 0)
		if b.publisher.len() == 0 {
			e.publishers.drop(b.publisher.hash(), b.publisher)
		}
		return
	case x.Unhealthy > 0 && !b.silent && silent > ticks(x.Unhealthy):
		b.silent = true
		e.meters.silenced.Inc()
		if pl := b.publisher.find(&k); pl.instance.Status != registry.Critical {
			e.setStatus(b.publisher, pl, b, registry.Critical)
			e.note(b.publisher, false, false)
			changed.add(b.service)
		}
	}
	e.schedule(b)
}

// remove takes one instance from its publisher and its service.
func (e *Engine) remove(p *publisher, k *ident, changed *touched) {
	in := p.find(k).instance
	e.take(k.service, in)
	e.unheed(p, k)
	p.cut(func(pl placed) bool { return pl.instance == in })
	changed.add(k.service)
}

// setStatus gives an instance another status of its own.
func (e *Engine) setStatus(p *publisher, pl *placed, b *beat, status registry.Status) {
	in := withPublisher(pl.instance, p.pub)
	in.Status = status
	e.put(pl.service, pl.instance, in)
	pl.instance = in
	if b != nil {
		b.instance = in
	}
}

// beat refreshes one instance; false: there is none.
func (e *Engine) beat(owner string, x *registry.Beat, changed *touched) (known bool, err error) {
	k := x.Instance.Publisher
	if err := checkBeat(owner, &k, x.Status); err != nil {
		return false, err
	}
	p, s := e.publisher(k, true), e.find(&x.Instance.Service)
	if p == nil || s == nil || !e.owns(p) {
		return false, nil
	}
	name := ident{service: s, subset: x.Instance.Subset, id: x.Instance.ID}
	b := p.beats().find(&name)
	if b != nil && !b.silent && (x.Status == 0 || x.Status == b.instance.Status) {
		b.last = e.wheel.now
		return true, nil
	}
	pl := p.find(&name)
	if pl == nil {
		return false, nil
	}
	status := x.Status
	if b != nil {
		if b.silent && status == 0 {
			status = registry.Passing
		}
		b.last, b.silent = e.wheel.now, false
		defer e.schedule(b)
	}
	if status != 0 && status != pl.instance.Status {
		e.setStatus(p, pl, b, status)
		e.note(p, true, false)
		changed.add(s)
	}
	return true, nil
}

func checkBeat(owner string, k *registry.PublisherKey, status registry.Status) error {
	if status != 0 {
		if err := checkStatus(&status); err != nil {
			return err
		}
	}
	return claim(owner, k)
}

// pass advances the clock of beats. It returns false when nothing waits for it.
func (e *Engine) pass(elapsed time.Duration) bool {
	e.mu.Lock()
	if elapsed > pauseAfter {
		e.meters.pauses.Inc()
		elapsed = 0
	}
	for e.late += elapsed; e.late >= tick; e.late -= tick {
		e.wheel.advance()
	}
	e.mu.Unlock()
	for e.expire() {
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wheel.n > 0
}

// expire judges some whose tick has come, so that others get the mutex between.
func (e *Engine) expire() (more bool) {
	const atOnce = 256
	e.begin()
	defer e.mu.Unlock()
	var changed touched
	for range atOnce {
		b := e.wheel.take()
		if b == nil {
			changed.all(e.touch)
			return false
		}
		e.lapse(b, &changed)
	}
	changed.all(e.touch)
	return true
}

// beatAll refreshes instances and returns the indices of unknown ones.
func (e *Engine) beatAll(owner string, xs []registry.Beat) (unknown []int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var changed touched
	for i := range xs {
		known, err := e.beat(owner, &xs[i], &changed)
		if err != nil {
			changed.all(e.touch)
			return nil, fmt.Errorf("beat %d: %w", i, err)
		}
		if !known {
			unknown = append(unknown, i)
		}
	}
	changed.all(e.touch)
	return unknown, nil
}
