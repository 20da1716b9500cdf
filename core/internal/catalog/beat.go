package catalog

import (
	"fmt"
	"math"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// pauseAfter is how late a tick may be before the process counts as paused. The
// clock of beats stands still in a pause, however short the times of an instance:
// clients could not be heard (REL-09).
const pauseAfter = time.Second

// expiry is the times of an instance that lives by beats.
func expiry(in *registry.Instance) registry.Expiry {
	if in.Rare == nil {
		return registry.Expiry{}
	}
	return in.Rare.Expiry
}

// heed notes that an instance was registered, which is a sign of life.
func (e *Engine) heed(p *publisher, pl *placed) {
	pl.last, pl.silent = e.wheel.now, false
	e.watch(p, pl)
}

// never is no tick.
const never = math.MaxUint64

// patience is in how many ticks an instance may have been silent for too long, at
// least one; never, when nothing ends it or another member counts.
func (e *Engine) patience(p *publisher, pl *placed) uint64 {
	x := expiry(pl.instance)
	may := x.Remove
	if x.Unhealthy > 0 && !pl.silent && (may == 0 || x.Unhealthy < may) {
		may = x.Unhealthy
	}
	if may <= 0 || !e.owns(p) {
		return never
	}
	if most, silent := ticks(may)+1, e.silence(pl); most > silent {
		return most - silent
	}
	return 1
}

// silence is for how many ticks an instance has given no sign of life.
func (e *Engine) silence(pl *placed) uint64 { return uint64(e.wheel.now - pl.last) }

// watch lets the wheel look at a publisher when an instance may have been silent
// for too long, or before. A sign of life writes placed.last and nothing else: when
// the wheel comes, it works out anew when to look again.
func (e *Engine) watch(p *publisher, pl *placed) {
	if expiry(pl.instance) != (registry.Expiry{}) {
		e.visit(p, e.patience(p, pl))
	}
}

// visit lets the wheel look at a publisher in so many ticks, or before.
func (e *Engine) visit(p *publisher, in uint64) {
	if in == never || p.next != nil && e.wheel.left(p) <= in {
		return
	}
	if e.wheel.n == 0 {
		select {
		case e.kick <- struct{}{}:
		default: // it is already being woken
		}
	}
	e.wheel.schedule(p, in)
}

// rewatch lets the clocks of all instances of a publisher run anew, or rest, as the
// member that owns it says.
func (e *Engine) rewatch(p *publisher) {
	e.wheel.cancel(p)
	for i := range p.all() {
		pl := &p.all()[i]
		pl.last = e.wheel.now
		e.watch(p, pl)
	}
}

// warming says that nothing may end yet, and for how long at least (FLT-04).
func (e *Engine) warming() (time.Duration, bool) {
	if !e.synced {
		return time.Second, true
	}
	left := time.Until(e.warm)
	return left, left > 0
}

// atOnce is about how many instances are judged before others get the mutex.
const atOnce = 256

// lapse judges the instances of a publisher whose tick has come. A publisher whose
// last instance is removed goes with it: it lived by beats (CTR-M08).
func (e *Engine) lapse(p *publisher, changed *touched) {
	if !e.owns(p) {
		return // meanwhile
	}
	if left, warming := e.warming(); warming {
		e.wheel.schedule(p, ticks(left)+1)
		return
	}
	next, lapsed := uint64(never), 0
	p.cut(func(pl *placed) bool {
		x, silent := expiry(pl.instance), e.silence(pl)
		switch {
		case lapsed == atOnce: // the rest of a large one at once again
			next = 0
			return false
		case x.Remove > 0 && silent > ticks(x.Remove):
			e.meters.expired.Inc()
			e.take(pl.service, pl.instance)
			changed.add(pl.service)
			lapsed++
			return true
		case x.Unhealthy > 0 && !pl.silent && silent > ticks(x.Unhealthy):
			pl.silent = true
			e.meters.silenced.Inc()
			if pl.instance.Status != registry.Critical {
				e.setStatus(p, pl, registry.Critical)
				changed.add(pl.service)
				lapsed++
			}
		}
		next = min(next, e.patience(p, pl))
		return false
	})
	empty := p.len() == 0
	if lapsed > 0 {
		e.note(p, false, empty)
	}
	switch {
	case empty && lapsed > 0:
		e.publishers.drop(p.hash(), p)
	case next == 0:
		e.wheel.fire(p)
	case next != never:
		e.wheel.schedule(p, next)
	}
}

// setStatus gives an instance another status of its own.
func (e *Engine) setStatus(p *publisher, pl *placed, status registry.Status) {
	in := withPublisher(pl.instance, p.pub)
	in.Status = status
	e.put(pl.service, pl.instance, in)
	pl.instance = in
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
	pl := p.find(&name)
	switch {
	case pl == nil:
		return false, nil
	case !pl.silent && (x.Status == 0 || x.Status == pl.instance.Status):
		pl.last = e.wheel.now
		return true, nil
	}
	status := x.Status
	if pl.silent && status == 0 {
		status = registry.Passing
	}
	e.heed(p, pl)
	if status != 0 && status != pl.instance.Status {
		e.setStatus(p, pl, status)
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
	e.begin()
	defer e.mu.Unlock()
	var changed touched
	for n := 0; n < atOnce; {
		p := e.wheel.take()
		if p == nil {
			changed.all(e.touch)
			return false
		}
		n += p.len()
		e.lapse(p, &changed)
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
