package catalog

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Against a plain list: everything fires at its tick, in the order of ticks, and
// nothing else does, whatever is scheduled again or cancelled meanwhile.
func TestWheelModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var w wheel
		w.init()
		w.now = rapid.SampledFrom([]uint32{0, 1<<6 - 3, 1<<12 - 100, 1<<18 - 300, math.MaxUint32 - 200}).Draw(rt, "start") // before the turn of a level
		of := make([]publisher, 20)
		due := map[int]uint32{}
		delay := rapid.OneOf(rapid.Uint64Range(0, 70), rapid.Uint64Range(0, 600), rapid.Uint64Range(0, 1<<25))
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(of)-1).Draw(rt, "publisher")
			switch rapid.IntRange(0, 4).Draw(rt, "op") {
			case 0:
				w.cancel(&of[i])
				delete(due, i)
			case 1, 2:
				in := delay.Draw(rt, "delay")
				w.schedule(&of[i], in)
				due[i] = w.now + uint32(min(max(in, 1), maxTicks))
			case 3:
				w.fire(&of[i])
				delete(due, i)
				if got := w.take(); got != &of[i] {
					rt.Fatalf("take() = %p, want what was fired", got)
				}
			default:
				for range rapid.IntRange(1, 400).Draw(rt, "ticks") {
					w.advance()
					var fired, want []int
					for p := w.take(); p != nil; p = w.take() {
						fired = append(fired, index(of, p))
					}
					for i, at := range due {
						if at == w.now {
							want = append(want, i)
							delete(due, i)
						}
					}
					slices.Sort(fired)
					slices.Sort(want)
					if !slices.Equal(fired, want) {
						rt.Fatalf("tick %d: %v fired, want %v", w.now, fired, want)
					}
				}
			}
			if w.n != len(due) {
				rt.Fatalf("wheel holds %d, want %d", w.n, len(due))
			}
		}
	})
}

func index(ps []publisher, p *publisher) int {
	for i := range ps {
		if &ps[i] == p {
			return i
		}
	}
	return -1
}

// Each level hands down to the one below it, at every offset around its turn.
func TestWheelLevels(t *testing.T) {
	for _, start := range []uint32{0, 1, 63, 64, 4000, 1<<18 - 1, math.MaxUint32 - 100} {
		for _, d := range []uint64{0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 1<<18 - 1, 1 << 18, 1<<18 + 1} {
			w := wheel{now: start}
			w.init()
			var p publisher
			w.schedule(&p, d)
			for w.take() == nil {
				if w.advance(); uint64(w.now-start) > d+1 {
					break
				}
			}
			if want := start + uint32(max(d, 1)); w.now != want || w.n != 0 {
				t.Errorf("from %d in %d it fired at %d, want %d", start, d, w.now, want)
			}
		}
	}
}
