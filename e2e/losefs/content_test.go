package losefs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestContentAgainstPlainBytes does random changes to a content and to a byte
// slice: live reads must always agree, the backing file must always hold what
// the slice held at the last sync.
func TestContentAgainstPlainBytes(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		name := filepath.Join(t.TempDir(), "base")
		base, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		c := newContent(base, 0)
		var live, durable []byte
		for step := range 200 {
			live = randomChange(t, c, live, rng)
			if rng.IntN(8) == 0 {
				if err := c.sync(); err != nil {
					t.Fatal(err)
				}
				durable = slices.Clone(live)
			}
			off := rng.Int64N(20000)
			dest := slices.Repeat([]byte{0xee}, rng.IntN(20000))
			n, err := c.read(dest, off)
			if err != nil {
				t.Fatal(err)
			}
			if want := live[min(int(off), len(live)):min(int(off)+len(dest), len(live))]; !slices.Equal(dest[:n], want) {
				t.Fatalf("seed %d step %d: read(%d bytes at %d) differs from what was written", seed, step, len(dest), off)
			}
			onDisk, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(onDisk, durable) {
				t.Fatalf("seed %d step %d: backing file differs from the last sync", seed, step)
			}
		}
	}
}

func randomChange(t *testing.T, c *content, live []byte, rng *rand.Rand) []byte {
	t.Helper()
	off, n := rng.IntN(12000), rng.IntN(6000)+1
	grow := func(to int) {
		if to > len(live) {
			live = append(live, make([]byte, to-len(live))...)
		}
	}
	switch rng.IntN(4) {
	case 0:
		c.resize(int64(off))
		grow(off)
		live = live[:off:off]
	case 1:
		if err := c.zero(int64(off), int64(n)); err != nil {
			t.Fatal(err)
		}
		clear(live[min(off, len(live)):min(off+n, len(live))])
	default:
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.IntN(255) + 1)
		}
		if err := c.write(data, int64(off)); err != nil {
			t.Fatal(err)
		}
		grow(off + n)
		copy(live[off:], data)
	}
	return live
}

// TestSubsetStopsAtDroppedShrink: bytes written after a truncation never
// appear with the truncation undone.
func TestSubsetStopsAtDroppedShrink(t *testing.T) {
	log := []change{
		{kind: changeResize, length: 0, shrink: true},
		{kind: changeWrite, off: 0, length: 1, data: []byte("x")},
	}
	outcomes := make(map[int]bool)
	for seed := range uint64(64) {
		kept := subset(log, rand.New(rand.NewPCG(seed, 0)))
		outcomes[len(kept)] = true
		if len(kept) > 0 && kept[0].kind != changeResize {
			t.Errorf("subset() with seed %d kept the write without the truncation", seed)
		}
	}
	for n := range 3 {
		if !outcomes[n] {
			t.Errorf("subset() with 64 seeds never kept %d changes", n)
		}
	}
}

func TestTornWithoutWrite(t *testing.T) {
	log := []change{{kind: changeResize, length: 10}}
	if got := torn(log, rand.New(rand.NewPCG(0, 0))); len(got) != 1 {
		t.Errorf("torn() without a write kept %d changes, want all", len(got))
	}
}
