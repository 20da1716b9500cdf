package catalog

import "time"

// A tick of the wheel. A beat counts from the tick after it, so an instance lives
// up to one tick longer than it was promised, and never shorter.
const tick = 100 * time.Millisecond

const (
	slotBits   = 6
	wheelSlots = 1 << slotBits
	levels     = 4
	maxTicks   = 1<<(slotBits*levels) - 1 // 19 days
)

// wheel wakes publishers at a tick: hierarchical, so that one is moved a few times
// at most, whatever its time. Its clock is advanced by whoever owns it, stands still
// when nobody does, and begins anew after 13 years.
type wheel struct {
	now   uint32
	slots [levels][wheelSlots]publisher // heads of rings
	fired publisher                     // head of the ring of those whose tick has come
	n     int
}

func (w *wheel) init() {
	for l := range w.slots {
		for i := range w.slots[l] {
			w.slots[l][i].ring()
		}
	}
	w.fired.ring()
}

// ring makes p the head of an empty ring.
func (p *publisher) ring() { p.prev, p.next = p, p }

// before puts p at the end of the ring of head.
func (p *publisher) before(head *publisher) {
	p.prev, p.next = head.prev, head
	head.prev.next, head.prev = p, p
}

// unlink takes p out of its ring.
func (p *publisher) unlink() {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}

// schedule lets p fire in so many ticks, instead of whenever it would.
func (w *wheel) schedule(p *publisher, in uint64) {
	w.cancel(p)
	w.n++
	p.due = w.now + uint32(min(max(in, 1), maxTicks))
	w.insert(p)
}

// fire lets p fire once more in this tick.
func (w *wheel) fire(p *publisher) {
	w.cancel(p)
	w.n++
	p.due = w.now
	p.before(&w.fired)
}

// left is in how many ticks p fires; 0: it has fired.
func (w *wheel) left(p *publisher) uint64 { return uint64(max(0, int32(p.due-w.now))) }

// cancel takes p out of the wheel.
func (w *wheel) cancel(p *publisher) {
	if p.next != nil {
		p.unlink()
		w.n--
	}
}

func (w *wheel) insert(p *publisher) {
	level := 0
	for left := w.left(p) >> slotBits; left > 0; left >>= slotBits {
		level++
	}
	i := p.due >> (slotBits * level) & (wheelSlots - 1)
	p.before(&w.slots[level][i])
}

// advance passes one tick.
func (w *wheel) advance() {
	w.now++
	for level := 1; level < levels && w.now&(1<<(slotBits*level)-1) == 0; level++ {
		head := &w.slots[level][w.now>>(slotBits*level)&(wheelSlots-1)]
		var moved publisher
		moved.ring()
		moved.takeAll(head)
		for p := moved.next; p != &moved; p = moved.next {
			p.unlink()
			if p.due == w.now {
				p.before(&w.fired)
				continue
			}
			w.insert(p)
		}
	}
	w.fired.takeAll(&w.slots[0][w.now&(wheelSlots-1)])
}

// takeAll moves a whole ring to the end of p's.
func (p *publisher) takeAll(head *publisher) {
	if head.next == head {
		return
	}
	first, last := head.next, head.prev
	head.ring()
	first.prev, last.next = p.prev, p
	p.prev.next, p.prev = first, last
}

// take takes one that has fired out of the wheel, nil when there is none.
func (w *wheel) take() *publisher {
	p := w.fired.next
	if p == &w.fired {
		return nil
	}
	w.cancel(p)
	return p
}

// ticks rounds a time up.
func ticks(d time.Duration) uint64 { return uint64((max(0, d) + tick - 1) / tick) }
