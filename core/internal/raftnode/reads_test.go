package raftnode

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// watched reads one member again and again and wants no answer that is called
// Fresh or Linearizable to lack what was acknowledged before the read began.
type watched struct {
	m     *member
	acked atomic.Int64 // the counter, as the last writer was told
	fresh atomic.Int64 // answers as fresh as asked
	local atomic.Int64 // fallbacks, and refusals
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func watch(t *testing.T, m *member) *watched {
	t.Helper()
	w := &watched{m: m}
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	for _, c := range []kv.Consistency{kv.Fresh, kv.Linearizable} {
		w.wg.Go(func() {
			for ctx.Err() == nil {
				acked := w.acked.Load()
				got, err := m.Barrier(ctx, c)
				switch {
				case err != nil || got == kv.Local:
					w.local.Add(1)
				case m.count("n") < acked:
					t.Errorf("Barrier(%v) = %v with the counter at %d, %d was acknowledged before", c, got, m.count("n"), acked)
					return
				default:
					w.fresh.Add(1)
				}
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

func (w *watched) end() {
	w.stop()
	w.wg.Wait()
}

// writes adds to the counter through a member, and notes what was acknowledged.
func (w *watched) writes(t *testing.T, by *member, n int) {
	t.Helper()
	for range n {
		eventually(t, "a write is taken", func() bool {
			out, err := by.Propose(within(t), by.add("n"))
			return err == nil && out.Err == nil
		})
		w.acked.Add(1) // an uncertain one may have counted too
	}
}

func (w *watched) more(t *testing.T, what string, count *atomic.Int64) {
	t.Helper()
	from := count.Load()
	eventually(t, what, func() bool { return count.Load() > from+5 })
}

// ARC-R08, REL-07: a leader that is cut off may say Fresh for as long as nobody
// else can lead, and not a moment longer: none of its answers lacks what others
// have acknowledged. What it falls back to is called Local.
func TestOldLeaderIsNotFresh(t *testing.T) {
	g := newGroup(t, 2, 3)
	old := g.leader()
	w := watch(t, old)
	for range 3 {
		w.writes(t, g.leader(), 20)
		w.more(t, "it answers fresh", &w.fresh)
		g.isolate(old.id)
		next := g.leader(old.id)
		w.writes(t, next, 20)
		w.more(t, "it falls back", &w.local)
		if got, err := old.Barrier(within(t), kv.Local); got != kv.Local || err != nil {
			t.Errorf("Barrier(Local) of a member that is cut off = %v, %v: it answers from what it has", got, err)
		}
		g.heal()
		if err := old.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it leads again", func() bool {
			lead := g.leader()
			return lead == old || lead.Transfer(within(t), old.id) == nil && old.Status().Leads
		})
	}
	w.end()
}

// REL-09, ARC-R08: a leader whose process stands still while others elect another
// one does not go on as if no time had passed.
func TestPausedLeaderIsNotFresh(t *testing.T) {
	g := newGroup(t, 2, 3)
	old := g.leader()
	w := watch(t, old)
	w.writes(t, old, 20)
	w.more(t, "it answers fresh", &w.fresh)
	paused, on := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	goOn := sync.OnceFunc(func() { close(on) })
	defer goOn() // before the member is closed, whatever comes
	wg.Go(func() { old.run1(func() { close(paused); <-on }) })
	<-paused
	next := g.leader(old.id)
	w.writes(t, next, 20)
	w.more(t, "it falls back", &w.local)
	goOn()
	wg.Wait()
	w.writes(t, g.leader(), 20)
	w.more(t, "it answers fresh again", &w.fresh)
	w.end()
}
