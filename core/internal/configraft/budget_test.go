//go:build !race

package configraft

import (
	"runtime"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// What a config keeps in memory that nobody reads: its row, its places in the
// tree and in the index. Content is on disk.
func TestBudgetMemory(t *testing.T) {
	const n, most = 100_000, 320
	r := newRig(t, 1<<20)
	content := strings.Repeat("v", 256)
	write := func(from, to int) {
		for i := from; i < to; i += 100 {
			var commands []fsm.Command
			for j := range 100 {
				commands = append(commands, r.publish(name(i+j), content))
			}
			r.apply(t, commands...)
		}
		if err := r.under.Flush(t.Context()); err != nil {
			t.Fatalf("Flush() = %v", err)
		}
	}
	write(0, ringSize+8) // what watchers may ask for is there from now on
	before := heap()
	write(ringSize+8, ringSize+8+n)
	got := (heap() - before) / n
	t.Logf("%d bytes per config", got)
	if got > most {
		t.Errorf("%d bytes per config, want at most %d", got, most)
	}
	runtime.KeepAlive(r)
}

// heap is the bytes in use after everything that is not has been collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// CTR-F04: a head that is at hand, and content in the cache, cost no allocation.
func TestBudgetRead(t *testing.T) {
	r := newRig(t, 1<<20)
	k := name(1)
	r.apply(t, r.publish(k, "a"))
	keys, dst := []configstore.Key{k}, make([]*configstore.Head, 0, 1)
	n := testing.AllocsPerRun(1000, func() {
		if item, err := r.Get(t.Context(), k, nil); err != nil || len(item.Content) != 1 {
			t.Fatalf("Get() = %v, %v", item, err)
		}
		if hs, err := r.Heads(t.Context(), keys, dst); err != nil || hs[0] == nil {
			t.Fatalf("Heads() = %v, %v", hs, err)
		}
	})
	if n != 0 {
		t.Errorf("Get() and Heads() allocate %v times, want 0", n)
	}
}

// A change that nobody waits for costs its head, which those who watch are told.
func TestBudgetApplied(t *testing.T) {
	r := newRig(t, 1<<20)
	k := name(1)
	r.apply(t, r.publish(k, "a"))
	before, _ := r.catalog.find(ItemKey(nil, k))
	r.apply(t, r.publish(k, "b"))
	row, _ := r.catalog.find(ItemKey(nil, k))
	changes := []fsm.Change{{Table: r.IDs().Head, Event: kv.Event{Record: row, Previous: before}}}
	for range ringSize { // the ring fills once
		r.Applied(row.Modified, changes)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Applied(row.Modified, changes) }); n > 1 {
		t.Errorf("Applied() allocates %v times, want 1", n)
	}
}
