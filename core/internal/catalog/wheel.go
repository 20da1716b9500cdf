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

// wheel wakes beats at a tick: hierarchical, so that a beat is moved a few times
// at most, whatever its time. Its clock is advanced by whoever owns it and stands
// still when nobody does.
type wheel struct {
	now   uint64
	slots [levels][wheelSlots]beat // heads of rings
	fired beat                     // head of the ring of those whose tick has come
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

// ring makes b the head of an empty ring.
func (b *beat) ring() { b.prev, b.next = b, b }

// before puts b at the end of the ring of head.
func (b *beat) before(head *beat) {
	b.prev, b.next = head.prev, head
	head.prev.next, head.prev = b, b
}

// unlink takes b out of its ring.
func (b *beat) unlink() {
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
}

// schedule lets b fire at a tick, instead of whenever it would.
func (w *wheel) schedule(b *beat, due uint64) {
	w.cancel(b)
	w.n++
	w.insert(b, due)
}

// cancel takes b out of the wheel.
func (w *wheel) cancel(b *beat) {
	if b.next != nil {
		b.unlink()
		w.n--
	}
}

func (w *wheel) insert(b *beat, due uint64) {
	b.due = min(max(due, w.now+1), w.now+maxTicks)
	level := 0
	for left := (b.due - w.now) >> slotBits; left > 0; left >>= slotBits {
		level++
	}
	i := b.due >> (slotBits * level) & (wheelSlots - 1)
	b.before(&w.slots[level][i])
}

// advance passes one tick.
func (w *wheel) advance() {
	w.now++
	for level := 1; level < levels && w.now&(1<<(slotBits*level)-1) == 0; level++ {
		head := &w.slots[level][w.now>>(slotBits*level)&(wheelSlots-1)]
		var moved beat
		moved.ring()
		moved.takeAll(head)
		for b := moved.next; b != &moved; b = moved.next {
			b.unlink()
			if b.due == w.now {
				b.before(&w.fired)
				continue
			}
			w.insert(b, b.due)
		}
	}
	w.fired.takeAll(&w.slots[0][w.now&(wheelSlots-1)])
}

// takeAll moves a whole ring to the end of b's.
func (b *beat) takeAll(head *beat) {
	if head.next == head {
		return
	}
	first, last := head.next, head.prev
	head.ring()
	first.prev, last.next = b.prev, b
	b.prev.next, b.prev = first, last
}

// next takes one that has fired out of the wheel, nil when there is none.
func (w *wheel) take() *beat {
	b := w.fired.next
	if b == &w.fired {
		return nil
	}
	w.cancel(b)
	return b
}

// ticks rounds a time up.
func ticks(d time.Duration) uint64 { return uint64((max(0, d) + tick - 1) / tick) }
