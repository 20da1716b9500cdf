package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

const watched = fsm.FirstTable

func testHub(events int, bytes int64) *hub {
	o := Options{RingEvents: events, RingBytes: bytes, MaxWatchers: 3}.withDefaults()
	h := newHub(&o)
	h.reset(0)
	return h
}

// change is one written row of a value of n bytes.
func change(rev kv.Revision, key string, n int) fsm.Change {
	r := &kv.Record{Key: []byte(key), Value: make([]byte, n), Modified: rev}
	return fsm.Change{Event: kv.Event{Record: r}, Table: watched, Abs: string(fsm.AppendKey(nil, watched, r.Key))}
}

func (h *hub) one(rev kv.Revision, keys ...string) {
	r := revision{rev: rev}
	for _, k := range keys {
		r.changes = append(r.changes, change(rev, k, 1))
	}
	h.publish([]revision{r})
}

func open(t *testing.T, h *hub, w WatchOptions) *stream {
	t.Helper()
	w.Table = watched
	st, err := h.watch(w)
	if err != nil {
		t.Fatalf("watch(%+v) = %v", w, err)
	}
	return st
}

// next reads one batch as "revision: key@revision ...".
func next(t *testing.T, st *stream) string {
	t.Helper()
	b, err := st.Next(t.Context())
	if err != nil {
		return err.Error()
	}
	parts := []string{fmt.Sprintf("%d:", b.Revision)}
	for _, e := range b.Events {
		parts = append(parts, fmt.Sprintf("%s@%d", e.Record.Key, e.Record.Modified))
	}
	return strings.Join(parts, " ")
}

func TestWatchPrefixesAndResume(t *testing.T) {
	h := testHub(0, 0)
	all, ab, none := open(t, h, WatchOptions{}), open(t, h, WatchOptions{Prefix: []byte("ab")}), open(t, h, WatchOptions{Prefix: []byte("x")})
	for _, st := range []*stream{all, ab, none} {
		if got := next(t, st); got != "0:" {
			t.Errorf("first Next() = %q, want a mark at 0", got)
		}
	}
	h.one(1, "a", "ab", "abc")
	h.one(2, "b")
	h.one(3, "abd", "x")
	if got, want := next(t, all), "3: a@1 ab@1 abc@1 b@2 abd@3 x@3"; got != want {
		t.Errorf("Next() of all = %q, want %q", got, want)
	}
	if got, want := next(t, ab), "3: ab@1 abc@1 abd@3"; got != want {
		t.Errorf("Next() of ab = %q, want %q", got, want)
	}
	if got, want := next(t, none), "3: x@3"; got != want {
		t.Errorf("Next() of x = %q, want %q", got, want)
	}
	_ = none.Close()
	if got, want := next(t, open(t, h, WatchOptions{After: 1})), "3: b@2 abd@3 x@3"; got != want {
		t.Errorf("Next() after 1 = %q, want %q", got, want)
	}
}

// Between Watch and the first Next nothing is lost, and the mark comes first.
func TestWatchFirstBatchIsMark(t *testing.T) {
	h := testHub(0, 0)
	h.one(1, "a")
	st := open(t, h, WatchOptions{})
	h.one(2, "b")
	if got := next(t, st); got != "1:" {
		t.Errorf("first Next() = %q, want a mark at 1", got)
	}
	if got := next(t, st); got != "2: b@2" {
		t.Errorf("second Next() = %q, want b", got)
	}
}

// A resume point ahead of this member is waited for.
func TestWatchAfterFuture(t *testing.T) {
	h := testHub(0, 0)
	st := open(t, h, WatchOptions{After: 2})
	h.one(1, "a")
	h.one(2, "a")
	h.one(3, "a")
	if got := next(t, st); got != "3: a@3" {
		t.Errorf("Next() after 2 = %q, want 3 only", got)
	}
}

// ARC-S08: the ring is bounded by events and by bytes; who is too old is told.
func TestRingBounds(t *testing.T) {
	for name, h := range map[string]*hub{
		"events": testHub(10, 0),
		"bytes":  testHub(0, 10*weigh(&fsm.Change{Event: kv.Event{Record: &kv.Record{Value: make([]byte, 1)}}, Abs: "\x10k"})),
	} {
		t.Run(name, func(t *testing.T) {
			slow := open(t, h, WatchOptions{Prefix: []byte("none")})
			if got := next(t, slow); got != "0:" {
				t.Fatal(got)
			}
			for rev := range kv.Revision(300) {
				h.one(rev+1, "k")
			}
			if h.ring.events != 10 || h.ring.floor != 290 || len(h.ring.slots) > 64 {
				t.Errorf("ring has %d events in %d slots behind %d, want 10 behind 290", h.ring.events, len(h.ring.slots), h.ring.floor)
			}
			if _, err := h.watch(WatchOptions{Table: watched, After: 289}); !errors.Is(err, kv.ErrCompacted) {
				t.Errorf("watch after 289 = %v, want %v", err, kv.ErrCompacted)
			}
			st := open(t, h, WatchOptions{After: 290})
			if b, err := st.Next(t.Context()); err != nil || len(b.Events) != 10 || b.Revision != 300 {
				t.Errorf("Next() = %d events at %d, %v, want 10 at 300", len(b.Events), b.Revision, err)
			}
			if _, err := slow.Next(t.Context()); !errors.Is(err, kv.ErrCompacted) {
				t.Errorf("Next() of a stream that lost its place = %v, want %v", err, kv.ErrCompacted)
			}
		})
	}
}

func TestRingGrows(t *testing.T) {
	h := testHub(0, 0)
	st := open(t, h, WatchOptions{After: 1})
	for rev := range kv.Revision(1000) {
		h.one(rev+1, "k")
	}
	last := kv.Revision(1)
	for last < 1000 {
		b, err := st.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if last++; e.Record.Modified != last {
				t.Fatalf("event of revision %d, want %d", e.Record.Modified, last)
			}
		}
	}
}

// A revision is delivered whole, however large.
func TestRevisionIsNotSplit(t *testing.T) {
	h := testHub(0, 0)
	st := open(t, h, WatchOptions{After: 1})
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprint(i))
	}
	h.one(2, "a")
	h.one(3, keys...)
	h.one(4, "b")
	b, err := st.Next(t.Context())
	if err != nil || len(b.Events) != 5001 || b.Revision != 3 {
		t.Errorf("Next() = %d events at %d, %v, want 5001 at 3", len(b.Events), b.Revision, err)
	}
	if got := next(t, st); got != "4: b@4" {
		t.Errorf("Next() = %q, want the rest", got)
	}
}

// ARC-S08: a watcher more than 1 Ki batches behind is cut; one that reads is not.
func TestSlowWatcherIsCut(t *testing.T) {
	h := testHub(0, 0)
	slow, quick, other := open(t, h, WatchOptions{}), open(t, h, WatchOptions{}), open(t, h, WatchOptions{Prefix: []byte("x")})
	next(t, slow)
	next(t, quick)
	next(t, other)
	for rev := range kv.Revision(maxBehind) {
		h.one(rev+1, "k", "l")
		if rev%100 == 99 {
			next(t, quick)
		}
	}
	if slow.err != nil {
		t.Fatalf("cut at %d batches: %v", maxBehind, slow.err)
	}
	h.one(maxBehind+1, "k")
	if _, err := slow.Next(t.Context()); !errors.Is(err, kv.ErrCompacted) {
		t.Errorf("Next() = %v, want %v", err, kv.ErrCompacted)
	}
	if got := next(t, quick); strings.Contains(got, "compacted") {
		t.Errorf("Next() of a reader = %q", got)
	}
	h.one(maxBehind+2, "x")
	if got, want := next(t, other), fmt.Sprintf("%d: x@%d", maxBehind+2, maxBehind+2); got != want {
		t.Errorf("Next() = %q, want %q: what does not match costs nothing", got, want)
	}
	if h.streams != 2 {
		t.Errorf("%d streams left, want 2", h.streams)
	}
}

// ARC-S08: progress marks every 5 s when idle, also when something else moves.
func TestProgressMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHub(0, 0)
		st := open(t, h, WatchOptions{Prefix: []byte("x")})
		next(t, st)
		start := time.Now()
		h.one(1, "k")
		if got := next(t, st); got != "1:" || time.Since(start) != 5*time.Second {
			t.Errorf("Next() = %q after %s, want a mark at 1 after 5s", got, time.Since(start))
		}
		// A cancelled Next neither loses the event nor delays the mark.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := st.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next() = %v, want %v", err, context.DeadlineExceeded)
		}
		if got := next(t, st); got != "1:" || time.Since(start) != 10*time.Second {
			t.Errorf("Next() = %q after %s, want a mark after 10s", got, time.Since(start))
		}
		h.one(2, "x")
		if _, err := st.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next() = %v, want %v", err, context.DeadlineExceeded)
		}
		if got := next(t, st); got != "2: x@2" {
			t.Errorf("Next() = %q, want x", got)
		}
	})
}

func TestNextWakes(t *testing.T) {
	end := func(st *stream) func() { return func() { _ = st.Close() } }
	tests := map[string]struct {
		wake func(h *hub, st *stream) func()
		want string
	}{
		"event": {func(h *hub, _ *stream) func() { return func() { h.one(1, "a") } }, "1: a@1"},
		"close": {func(_ *hub, st *stream) func() { return end(st) }, kv.ErrClosed.Error()},
		"hub":   {func(h *hub, _ *stream) func() { return h.close }, kv.ErrClosed.Error()},
		"reset": {func(h *hub, _ *stream) func() { return func() { h.reset(9) } }, "watch: state replaced: revision compacted"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := testHub(0, 0)
				st := open(t, h, WatchOptions{})
				next(t, st)
				got := make(chan string)
				go func() { got <- next(t, st) }()
				synctest.Wait()
				tt.wake(h, st)()
				if s := <-got; s != tt.want {
					t.Errorf("Next() = %q, want %q", s, tt.want)
				}
			})
		})
	}
}

func TestWatchLimits(t *testing.T) {
	h := testHub(0, 0)
	var streams []*stream
	for _, p := range []string{"", "a", "ab"} {
		streams = append(streams, open(t, h, WatchOptions{Prefix: []byte(p)}))
	}
	if _, err := h.watch(WatchOptions{Table: watched}); !errors.Is(err, kv.ErrOverloaded) {
		t.Errorf("watch() = %v, want %v", err, kv.ErrOverloaded)
	}
	if got := h.tables[watched].lengths; !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("lengths = %v", got)
	}
	_ = streams[1].Close()
	_ = streams[1].Close()
	if got := h.tables[watched].lengths; !slices.Equal(got, []int{0, 2}) || h.streams != 2 {
		t.Errorf("lengths = %v with %d streams after Close", got, h.streams)
	}
	_ = streams[0].Close()
	_ = streams[2].Close()
	if len(h.tables) != 0 || h.streams != 0 {
		t.Errorf("%d tables and %d streams after Close, want none", len(h.tables), h.streams)
	}
}

func TestWatchPrevious(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	with, err := m.Watch(WatchOptions{Table: m.id("hot"), Previous: true})
	if err != nil {
		t.Fatal(err)
	}
	without, err := m.Watch(WatchOptions{Table: m.id("hot")})
	if err != nil {
		t.Fatal(err)
	}
	m.must(t, put("hot", "a", "1"))
	m.must(t, del("hot", "a"), put("cold", "c", "1"), put("other", "o", "1"))
	for _, st := range []kv.Stream{with, without} {
		if b, err := st.Next(t.Context()); err != nil || b.Revision != 0 {
			t.Fatalf("Next() = %+v, %v", b, err)
		}
		b, err := st.Next(t.Context())
		if err != nil || len(b.Events) != 2 {
			t.Fatalf("Next() = %+v, %v, want two events", b, err)
		}
		e := b.Events[1]
		if !e.Deleted || string(e.Record.Key) != "a" || e.Record.Modified != 2 || e.Record.Value != nil {
			t.Errorf("deletion = %+v", e)
		}
		if (e.Previous != nil) != (st == with) || st == with && string(e.Previous.Value) != "1" {
			t.Errorf("Previous = %v", e.Previous)
		}
	}
	for _, id := range []fsm.TableID{m.id("cold"), fsm.LeaseTable, 99} {
		if _, err := m.Watch(WatchOptions{Table: id}); !errors.Is(err, fsm.ErrInvalid) {
			t.Errorf("Watch(%d) = %v, want %v", id, err, fsm.ErrInvalid)
		}
	}
}
