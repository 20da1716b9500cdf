package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The collector runs when the heap has grown by a share of what lives. A small
// heap would be collected many times a second for the sake of a few megabytes,
// so it may grow by a fixed amount instead (ENG-19). A large one would hold twice
// as much again that is dead: it may grow by another amount, or by a smaller share
// (GOAL-17).
const (
	gcPercent  = 200       // of the live heap
	gcHeadroom = 64 << 20  // bytes that a small heap may grow by
	gcMost     = 2000      // percent, for an empty server
	gcRoom     = 256 << 20 // bytes that a large heap may grow by
	gcLeast    = 75        // percent, for a huge one
)

// percent is the share by which a live heap may grow.
func percent(live uint64) int {
	small, large := 100*gcHeadroom/live, max(gcLeast, 100*gcRoom/live)
	return int(min(gcMost, max(small, min(gcPercent, large))))
}

// pace sets the share anew after every collection.
func pace() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if live := sample[0].Value.Uint64(); live > 0 {
		debug.SetGCPercent(percent(live))
	}
	// What nobody holds is found by the next collection.
	runtime.AddCleanup(new([16]byte), func(struct{}) { pace() }, struct{}{})
}
