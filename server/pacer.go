package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The collector runs when the heap has grown by a share of what lives. A small
// heap would be collected many times a second for the sake of a few megabytes,
// so it may grow by a fixed amount instead (ENG-19).
const (
	gcPercent  = 200      // of the live heap
	gcHeadroom = 64 << 20 // bytes that a small heap may grow by
	gcMost     = 2000     // percent, for an empty server
)

// pace sets the share anew after every collection.
func pace() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if live := sample[0].Value.Uint64(); live > 0 {
		debug.SetGCPercent(int(min(gcMost, max(gcPercent, 100*gcHeadroom/live))))
	}
	// What nobody holds is found by the next collection.
	runtime.AddCleanup(new([16]byte), func(struct{}) { pace() }, struct{}{})
}
