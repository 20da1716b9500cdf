package kvtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// testWait wants Wait to end with the revision it names.
func testWait(t *testing.T, h *harness) {
	t.Helper()
	at := h.must(t, put(hotTable, "a", "")).Revision
	if err := h.Wait(within(t), at); err != nil {
		t.Errorf("Wait(%d) = %v", at, err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Wait(t.Context(), at+1) }()
	h.must(t, put(hotTable, "a", ""))
	if err := <-done; err != nil {
		t.Errorf("Wait(%d) = %v", at+1, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Wait(ctx, at+100); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait(%d) = %v, want %v", at+100, err, context.Canceled)
	}
}

func (h *harness) watch(t *testing.T, w kv.Watch) kv.Stream {
	t.Helper()
	st, err := h.Watch(within(t), w)
	if err != nil {
		t.Fatalf("Watch(%+v) = %v", w, err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func next(t *testing.T, st kv.Stream) kv.Batch {
	t.Helper()
	b, err := st.Next(within(t))
	if err != nil {
		t.Fatalf("Next() = %v", err)
	}
	return b
}

// nextEvents skips progress marks.
func nextEvents(t *testing.T, st kv.Stream) kv.Batch {
	t.Helper()
	for {
		if b := next(t, st); len(b.Events) > 0 {
			return b
		}
	}
}

func describe(b kv.Batch) string {
	var parts []string
	for _, e := range b.Events {
		s := fmt.Sprintf("%s=%s", e.Record.Key, e.Record.Value)
		if e.Deleted {
			s = "-" + string(e.Record.Key)
		}
		if e.Previous != nil {
			s += fmt.Sprintf(" was %s", e.Previous.Value)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// testWatch wants marks, filters, previous records and resumption (CTR-K08).
func testWatch(t *testing.T, h *harness) {
	t.Helper()
	at := h.must(t, put(hotTable, "a", "1")).Revision
	all := h.watch(t, kv.Watch{Table: hotTable, Previous: true})
	below := h.watch(t, kv.Watch{Table: hotTable, Prefix: []byte("p/")})
	h.must(t, put(hotTable, "a", "2"), put(otherTable, "a", "x"), put(coldTable, "a", "x"))
	for _, st := range []kv.Stream{all, below} {
		if b := next(t, st); len(b.Events) > 0 || b.Revision != at {
			t.Errorf("first Next() = %+v, want a mark at %d", b, at)
		}
	}
	h.must(t, put(hotTable, "p/1", "1"), put(hotTable, "p/1", "2"), put(hotTable, "brief", ""), del(hotTable, "brief"))
	end := h.must(t, del(hotTable, "p/1"), del(hotTable, "a"), put(hotTable, "a", "3")).Revision
	got := ""
	for seen := kv.Revision(0); seen < end; {
		b := nextEvents(t, all)
		got += describe(b) + "; "
		seen = b.Revision
	}
	got = strings.ReplaceAll(got, "; ", ", ")
	if want := "a=2 was 1, p/1=2, -p/1 was 2, a=3 was 2, "; got != want {
		t.Errorf("events are %q, want %q", got, want)
	}
	got = ""
	for !strings.Contains(got, "-p/1") {
		got += describe(nextEvents(t, below)) + ", "
	}
	if want := "p/1=2, -p/1, "; got != want {
		t.Errorf("events below p/ are %q, want %q", got, want)
	}
	resumed := h.watch(t, kv.Watch{Table: hotTable, After: end - 1})
	if b := nextEvents(t, resumed); describe(b) != "-p/1, a=3" || b.Revision < end {
		t.Errorf("events after %d are %q at %d", end-1, describe(b), b.Revision)
	}
	deleted := nextEvents(t, h.watch(t, kv.Watch{Table: hotTable, Prefix: []byte("p/"), After: end - 1})).Events[0]
	if !deleted.Deleted || deleted.Record.Modified != end || deleted.Record.Value != nil {
		t.Errorf("deletion is %+v", deleted.Record)
	}
	for _, table := range []string{coldTable, "nobody's"} {
		if _, err := h.Watch(within(t), kv.Watch{Table: table}); err == nil {
			t.Errorf("Watch(%s) = nil, want an error", table)
		}
	}
}

// testWatchEnds wants Close to unblock Next, and a cancelled Next to lose
// nothing (CTR-B05).
func testWatchEnds(t *testing.T, h *harness) {
	t.Helper()
	st := h.watch(t, kv.Watch{Table: hotTable})
	next(t, st)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := st.Next(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %v, want %v", err, context.Canceled)
	}
	h.must(t, put(hotTable, "a", "1"))
	if _, err := st.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %v, want %v", err, context.Canceled)
	}
	if b := nextEvents(t, st); describe(b) != "a=1" {
		t.Errorf("Next() = %q, want a", describe(b))
	}
	go func() {
		_, err := st.Next(t.Context())
		done <- err
	}()
	for range 2 {
		if err := st.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if err := <-done; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() = %v, want %v", err, kv.ErrClosed)
	}
}

const (
	watchWriters = 8
	watchTxns    = 25
	watchRows    = 5
)

// testWatchProperties runs writers beside watchers and wants RBS-03: ordered,
// unique, atomic, without a gap, resumable, with the right previous records.
func testWatchProperties(t *testing.T, h *harness) {
	t.Helper()
	start := h.must(t, put(hotTable, "start", "")).Revision
	var writers, watchers sync.WaitGroup
	var mu sync.Mutex // guards commits
	commits := map[kv.Revision]int{}
	for w := range watchWriters {
		writers.Go(func() {
			for i := range watchTxns {
				res, err := h.Commit(t.Context(), kv.Txn{Then: randomRows(w, i)})
				if err != nil || !res.Committed {
					t.Errorf("Commit() = %+v, %v", res, err)
					return
				}
				mu.Lock()
				commits[res.Revision]++
				mu.Unlock()
			}
		})
	}
	logs := make([][]kv.Event, 3)
	for i := range logs {
		watchers.Go(func() { logs[i] = collect(t, h, start, i) })
	}
	writers.Wait()
	h.must(t, put(hotTable, "end", ""))
	watchers.Wait()
	want := h.view(t)
	for i, log := range logs {
		check(t, i, log, commits, rows(t, want, hotTable))
	}
}

// randomRows changes as many rows of a few, with one token.
func randomRows(w, i int) (ops []kv.Op) {
	token := fmt.Sprintf("%d/%d", w, i)
	for _, k := range rand.Perm(12)[:watchRows] {
		key := fmt.Sprintf("k%02d", k)
		if k%4 == 3 {
			ops = append(ops, put(hotTable, key, token), del(hotTable, key)) // deleted, or still absent
		} else {
			ops = append(ops, put(hotTable, key, token))
		}
	}
	return ops
}

// collect reads events until the last one; mode 1 and 2 leave the stream and
// resume it now and then.
func collect(t *testing.T, h *harness, after kv.Revision, mode int) (log []kv.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		st, err := h.Watch(ctx, kv.Watch{Table: hotTable, After: after, Previous: true})
		if err != nil {
			t.Errorf("Watch(after %d) = %v", after, err)
			return log
		}
		for range 1 + 3*mode {
			b, err := st.Next(ctx)
			if err != nil || b.Revision < after {
				t.Errorf("Next() = %d events at %d after %d, %v", len(b.Events), b.Revision, after, err)
				_ = st.Close()
				return log
			}
			for _, e := range b.Events {
				if e.Record.Modified <= after || e.Record.Modified > b.Revision {
					t.Errorf("event of revision %d in a batch from %d to %d", e.Record.Modified, after, b.Revision)
				}
			}
			if v, err := h.View(ctx, kv.Local); err != nil || v.Revision() < b.Revision {
				t.Errorf("view at %v, %v behind an event of %d", v, err, b.Revision) // CTR-B06
			}
			after = b.Revision
			log = append(log, b.Events...)
			if n := len(log); n > 0 && string(log[n-1].Record.Key) == "end" {
				_ = st.Close()
				return log
			}
		}
		_ = st.Close()
	}
}

// check replays a log of events.
func check(t *testing.T, watcher int, log []kv.Event, commits map[kv.Revision]int, want []string) {
	t.Helper()
	state := map[string]*kv.Record{}
	seen := map[kv.Revision]map[string]bool{}
	last := kv.Revision(0)
	for _, e := range log {
		key, rev := string(e.Record.Key), e.Record.Modified
		if rev < last {
			t.Errorf("watcher %d: revision %d behind %d", watcher, rev, last)
		}
		last = rev
		if seen[rev] == nil {
			seen[rev] = map[string]bool{}
		}
		if seen[rev][key] {
			t.Errorf("watcher %d: %s twice in revision %d", watcher, key, rev)
		}
		seen[rev][key] = true
		if key == "start" || key == "end" {
			continue
		}
		was := state[key]
		if (was == nil) != (e.Previous == nil) || was != nil && Line(was) != Line(e.Previous) {
			t.Errorf("watcher %d: previous of %s at %d is %v, want %v", watcher, key, rev, e.Previous, was)
		}
		if e.Deleted {
			delete(state, key)
		} else {
			state[key] = e.Record
		}
	}
	for rev, n := range commits {
		if n != 1 || len(seen[rev]) == 0 || len(seen[rev]) > watchRows {
			t.Errorf("watcher %d: revision %d of %d commits has %d rows", watcher, rev, n, len(seen[rev]))
		}
		for key := range seen[rev] {
			if key == "start" || key == "end" {
				t.Errorf("watcher %d: %s in revision %d", watcher, key, rev)
			}
		}
	}
	alive := 0
	for _, line := range want {
		for _, r := range state {
			if Line(r) == line {
				alive++
			}
		}
	}
	if alive != len(state) || alive != len(want)-2 {
		t.Errorf("watcher %d: %d rows of %d are in the table of %d", watcher, alive, len(state), len(want))
	}
}
