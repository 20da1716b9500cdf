package catalog

import (
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
		w.now = rapid.SampledFrom([]uint64{0, 1<<6 - 3, 1<<12 - 100, 1<<18 - 300}).Draw(rt, "start") // before the turn of a level
		beats := make([]beat, 20)
		due := map[int]uint64{}
		delay := rapid.OneOf(rapid.Uint64Range(0, 70), rapid.Uint64Range(0, 600), rapid.Uint64Range(0, 1<<25))
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(beats)-1).Draw(rt, "beat")
			switch rapid.IntRange(0, 3).Draw(rt, "op") {
			case 0:
				w.cancel(&beats[i])
				delete(due, i)
			case 1, 2:
				at := w.now + delay.Draw(rt, "delay")
				w.schedule(&beats[i], at)
				due[i] = min(max(at, w.now+1), w.now+maxTicks)
			default:
				for range rapid.IntRange(1, 400).Draw(rt, "ticks") {
					w.advance()
					var fired, want []int
					for b := w.take(); b != nil; b = w.take() {
						fired = append(fired, index(beats, b))
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

func index(bs []beat, b *beat) int {
	for i := range bs {
		if &bs[i] == b {
			return i
		}
	}
	return -1
}

// Each level hands down to the one below it, at every offset around its turn.
func TestWheelLevels(t *testing.T) {
	for _, start := range []uint64{0, 1, 63, 64, 4000, 1<<18 - 1} {
		for _, d := range []uint64{0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 1<<18 - 1, 1 << 18, 1<<18 + 1} {
			w := wheel{now: start}
			w.init()
			var b beat
			w.schedule(&b, start+d)
			for w.take() == nil {
				if w.advance(); w.now > start+d+1 {
					break
				}
			}
			if want := start + max(d, 1); w.now != want || w.n != 0 {
				t.Errorf("from %d a beat in %d fired at %d, want %d", start, d, w.now, want)
			}
		}
	}
}
