package poll

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
)

// rig is a keeper that follows the configs of a real node.
type rig struct {
	*Keeper
	configs *config.Service
	fences  chan string // configs that change, after the keeper was told

	published int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	core, err := coretest.Start(t).Attach(t.Context(), "nacos", nil)
	if err != nil {
		t.Fatalf("Attach() = %v", err)
	}
	r := &rig{fences: make(chan string, 1024)}
	r.configs = config.New(config.Settings{Configs: core.Configs(), Store: core.KV(), Committer: core.Txn()})
	r.Keeper = NewKeeper(r.configs)
	following := make(chan struct{})
	r.configs.OnChange(func(c configstore.Change) { r.fences <- c.Key.Name }, sync.OnceFunc(func() { close(following) }))
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = r.configs.Run(ctx) })
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
	<-following
	return r
}

// publish returns when the keeper was told. Every publication changes the
// description.
func (r *rig) publish(t *testing.T, name, content string) {
	t.Helper()
	r.published++
	p := config.Publish{DataID: name, Group: "G", Content: []byte(content), Desc: fmt.Sprint(r.published)}
	if err := r.configs.Publish(t.Context(), auth.Actor{Protocol: "nacos"}, p); err != nil {
		t.Fatalf("Publish(%s) = %v", name, err)
	}
	for {
		select {
		case got := <-r.fences:
			if got == name {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the change of %s is not told", name)
		}
	}
}

// on is a poll that is up to date on some configs.
func (r *rig) on(t *testing.T, names ...string) *Poll {
	t.Helper()
	p := &Poll{IP: "10.0.0.1"}
	for _, n := range names {
		h, err := r.configs.Head(t.Context(), config.Key(n, "G", ""), false)
		if err != nil {
			t.Fatalf("Head(%s) = %v", n, err)
		}
		p.Lines = append(p.Lines, Line{DataID: n, Group: "G", MD5: config.Digest(h, nil)})
	}
	return p
}

func (r *rig) join(t *testing.T, p *Poll) *Waiting {
	t.Helper()
	w, changed, err := r.Join(t.Context(), p)
	if err != nil || len(changed) != 0 || w == nil {
		t.Fatalf("Join() = %v, %v, %v, want it to wait", w, changed, err)
	}
	return w
}

// heard are what a poll was told, as "-" when nothing changed.
type heard struct {
	mu   sync.Mutex // guards told
	told []string
}

func (h *heard) tell(changed []*Line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := "-"
	for _, l := range changed {
		text += l.DataID
	}
	h.told = append(h.told, text)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.told)
}

// NAC-H1C-35: a poll is told once, of the line that changed, and waits on none of
// its configs afterwards; a change of no content wakes nobody (NAC-CFG-63).
func TestTold(t *testing.T) {
	r := newRig(t)
	r.publish(t, "a", "one")
	r.publish(t, "b", "one")
	var first, other heard
	r.join(t, r.on(t, "b", "a", "a")).Tell(first.tell)
	r.join(t, r.on(t, "b")).Tell(other.tell)
	r.publish(t, "a", "one")
	r.publish(t, "c", "elsewhere")
	if n := r.Parked(); n != 2 || first.String() != "[]" {
		t.Errorf("after changes of no content: %d parked, told %v, want 2, nothing", n, &first)
	}
	r.publish(t, "a", "two")
	r.publish(t, "b", "two")
	r.publish(t, "a", "three")
	if n := r.Parked(); n != 0 || first.String() != "[-a]" || other.String() != "[-b]" {
		t.Errorf("%d parked, told %v and %v, want none, a and b once", n, &first, &other)
	}
	if keys := r.hub.Keys(); len(keys) != 0 {
		t.Errorf("keys waited on = %v, want none", keys)
	}
}

// Who is told only later hears of what came before; time and client end a poll,
// which is then told nothing or not at all.
func TestEnds(t *testing.T) {
	r := newRig(t)
	var late, over, gone heard
	w := r.join(t, r.on(t, "a"))
	r.publish(t, "a", "one")
	w.Over(false) // it has ended before
	w.Tell(late.tell)
	w = r.join(t, r.on(t, "a"))
	w.Tell(over.tell)
	r.publish(t, "a", "one") // a change of no content is not told later either
	w.Over(false)
	w.Over(false)
	w = r.join(t, r.on(t, "a"))
	w.Tell(gone.tell)
	w.Over(true)
	r.publish(t, "a", "two")
	if late.String() != "[-a]" || over.String() != "[-]" || gone.String() != "[]" {
		t.Errorf("told %v, %v, %v, want a, nothing, not at all", &late, &over, &gone)
	}
	if n := r.Parked(); n != 0 || len(r.hub.Keys()) != 0 {
		t.Errorf("%d parked on %v, want none", n, r.hub.Keys())
	}
}

// What changes between the joining and the comparison is compared again.
func TestMissed(t *testing.T) {
	w := &Waiting{poll: &Poll{Lines: make([]Line, 1)}}
	why := func(*Waiting, int) (bool, []*Line) { return true, nil }
	heads := make([]*configstore.Head, 1)
	if w.due(0, why) || w.settle(heads) || !w.settle(heads) || !w.due(0, why) || w.due(0, why) {
		t.Error("a change before the comparison was lost, or ended the poll twice")
	}
}

// NAC-H1C-36: who drains answers all, now and later; the classic wait too.
func TestDrain(t *testing.T) {
	r := newRig(t)
	var told heard
	r.join(t, r.on(t, "a", "b")).Tell(told.tell)
	done := make(chan string)
	w := r.join(t, r.on(t, "a"))
	go func() {
		changed, err := w.Wait(t.Context(), time.Minute)
		done <- fmt.Sprint(changed, err)
	}()
	r.Drain()
	if got := <-done; got != "[] <nil>" || told.String() != "[-]" {
		t.Errorf("drained: Wait() = %v, told %v, want nothing for both", got, &told)
	}
	if w, changed, err := r.Join(t.Context(), r.on(t, "a")); w != nil || changed != nil || err != nil {
		t.Errorf("Join() = %v, %v, %v, want nothing at once", w, changed, err)
	}
	if n := r.Parked(); n != 0 || len(r.hub.Keys()) != 0 {
		t.Errorf("%d parked on %v, want none", n, r.hub.Keys())
	}
}

// Wait returns the change, the end of the time, or that of the client.
func TestWait(t *testing.T) {
	r := newRig(t)
	w := r.join(t, r.on(t, "a"))
	r.publish(t, "a", "one")
	if changed, err := w.Wait(t.Context(), time.Minute); err != nil || len(changed) != 1 || changed[0].DataID != "a" {
		t.Errorf("Wait() = %v, %v, want a", changed, err)
	}
	if changed, err := r.join(t, r.on(t, "a")).Wait(t.Context(), time.Nanosecond); err != nil || changed != nil {
		t.Errorf("Wait() of no time = %v, %v, want nothing", changed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if changed, err := r.join(t, r.on(t, "a")).Wait(ctx, time.Minute); err == nil || changed != nil {
		t.Errorf("Wait() of who left = %v, %v, want an error", changed, err)
	}
	if n := r.Parked(); n != 0 {
		t.Errorf("%d parked, want none", n)
	}
}

// NAC-H1C-11, 17: who waits is shown.
func TestShown(t *testing.T) {
	r := newRig(t)
	r.publish(t, "a", "one")
	p := r.on(t, "a", "b")
	w := r.join(t, p)
	a, b := config.Key("a", "G", ""), config.Key("b", "G", "")
	if got := r.Listeners(a); len(got) != 1 || got["10.0.0.1"] != p.Lines[0].MD5 {
		t.Errorf("Listeners(a) = %v", got)
	}
	got := r.ListenedBy("10.0.0.1")
	if md5, ok := got[b]; len(got) != 2 || got[a] != p.Lines[0].MD5 || !ok || md5 != "" {
		t.Errorf("ListenedBy() = %v, want a and b", got)
	}
	if got := r.ListenedBy("10.0.0.2"); len(got) != 0 {
		t.Errorf("ListenedBy() of another = %v, want none", got)
	}
	w.Over(true)
	if got := r.Listeners(a); len(got) != 0 {
		t.Errorf("Listeners(a) = %v, want none", got)
	}
}

// Changes, ends and new polls at the same time: each poll is told once or leaves,
// and none is forgotten.
func TestTogether(t *testing.T) {
	r := newRig(t)
	var (
		group sync.WaitGroup
		stop  atomic.Bool
	)
	for n := range 4 {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				w, _, err := r.Join(t.Context(), r.on(t, "a", "b"))
				if err != nil {
					t.Errorf("Join() = %v", err)
					return
				}
				if w == nil {
					continue // it changed meanwhile
				}
				told := make(chan struct{}, 2)
				w.Tell(func([]*Line) { told <- struct{}{} })
				switch (i + n) % 3 {
				case 0:
					w.Over(false)
				case 1:
					w.Over(true)
					continue
				}
				<-told
				if w.Over(false); len(told) != 0 {
					t.Error("a poll was told twice")
				}
			}
		})
	}
	for i := range 300 {
		r.publish(t, []string{"a", "b"}[i%2], fmt.Sprint(i))
	}
	stop.Store(true)
	r.Drain()
	group.Wait()
	if n := r.Parked(); n != 0 || len(r.hub.Keys()) != 0 {
		t.Errorf("%d parked on %v, want none", n, r.hub.Keys())
	}
}
