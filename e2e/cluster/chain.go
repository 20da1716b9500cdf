package cluster

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// chains are configs that clients change by compare only: each content is unique
// and replaces one that was read before. From the last content one finds the way
// back to the first, which is the order in which the writes happened.
type chains struct {
	c       *members.Cluster
	names   []string
	begin   time.Time
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	acked   atomic.Int64
	readers atomic.Int64

	mu    sync.Mutex // guards steps and seen
	steps []*step
	seen  []sight
}

// step is one write by compare.
type step struct {
	name, old, now string
	call, ret      time.Duration // since the begin; ret of an unknown one is never
	ok             bool          // acknowledged; else unknown
	at             int           // the place in the order, from 1; 0: it did not happen
}

// sight is one read.
type sight struct {
	name, value string
	member      int
	call, ret   time.Duration
}

const never = time.Duration(1<<63 - 1)

func md5of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// startChains lets clients work on some chains until judge.
func startChains(t *testing.T, c *members.Cluster, seed uint64, names, clients int) *chains {
	t.Helper()
	h := &chains{c: c, begin: time.Now()}
	w := newWeb()
	defer w.close()
	for i := range names {
		name := fmt.Sprintf("chain-%d-%d", i, seed)
		members.Eventually(t, "a chain begins", func() error {
			return w.publish(t.Context(), c.Nodes[i%len(c.Nodes)].URL(), name, first(name), "")
		})
		h.names = append(h.names, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.cancel = cancel
	for i := range clients {
		h.wg.Go(func() { h.work(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)+100))) })
	}
	return h
}

func first(name string) string { return "begin of " + name }

// work is one client: it reads through some member, and writes through the same or
// another.
func (h *chains) work(ctx context.Context, client int, r *rand.Rand) {
	w := newWeb()
	defer w.close()
	for n := 0; ctx.Err() == nil; n++ {
		name, from, to := h.names[r.IntN(len(h.names))], r.IntN(len(h.c.Nodes)), r.IntN(len(h.c.Nodes))
		value, err := h.look(ctx, w, name, from)
		if err != nil || value == "" {
			pause(ctx, time.Duration(r.IntN(30))*time.Millisecond)
			continue
		}
		h.write(ctx, w, &step{name: name, old: value, now: fmt.Sprintf("%d by %d of %s", n, client, name)}, to)
		pause(ctx, time.Duration(r.IntN(10))*time.Millisecond)
	}
}

func (h *chains) look(ctx context.Context, w *web, name string, member int) (string, error) {
	s := sight{name: name, member: member, call: time.Since(h.begin)}
	value, err := w.read(ctx, h.c.Nodes[member].URL(), name)
	if err != nil {
		return "", err
	}
	s.ret, s.value = time.Since(h.begin), value
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, s)
	h.readers.Add(1)
	return value, nil
}

func (h *chains) write(ctx context.Context, w *web, s *step, member int) {
	s.call = time.Since(h.begin)
	err := w.publish(ctx, h.c.Nodes[member].URL(), s.name, s.now, md5of(s.old))
	s.ret = time.Since(h.begin)
	switch {
	case err == nil:
		s.ok = true
		h.acked.Add(1)
	case refused(err):
		return
	default:
		s.ret = never
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps = append(h.steps, s)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// verdict is what came of the chains.
type verdict struct {
	acked, unknown, happened int // writes; happened: unknown ones that did
	lost                     int
	reads, stale             int
}

func (v verdict) String() string {
	return fmt.Sprintf("%d writes by compare acknowledged, %d lost, %d unknown of which %d happened, %d reads, %d stale",
		v.acked, v.lost, v.unknown, v.happened, v.reads, v.stale)
}

// judge ends the load and checks that all members hold the same and that every
// acknowledged write is in the one order there was, each behind those that had
// been answered before it was asked. Reads must be of that order, never of what
// had not been asked yet; how many were behind is counted.
func (h *chains) judge(t *testing.T) verdict {
	t.Helper()
	h.cancel()
	h.wg.Wait()
	var v verdict
	for _, name := range h.names {
		last := h.agreed(t, name)
		o, err := h.order(name, last)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v.add(o)
	}
	t.Logf("%v", v)
	return v
}

func (v *verdict) add(o verdict) {
	v.acked += o.acked
	v.unknown += o.unknown
	v.happened += o.happened
	v.lost += o.lost
	v.reads += o.reads
	v.stale += o.stale
}

// agreed waits until all members tell the same content.
func (h *chains) agreed(t *testing.T, name string) (last string) {
	t.Helper()
	w := newWeb()
	defer w.close()
	members.Eventually(t, "all members hold the same", func() error {
		for i, n := range h.c.Nodes {
			got, err := w.read(t.Context(), n.URL(), name)
			if err != nil {
				return fmt.Errorf("member %d: %w", i, err)
			}
			if i > 0 && got != last {
				return fmt.Errorf("%s: member %d has %q, member 0 %q", name, i, got, last)
			}
			last = got
		}
		return nil
	})
	return last
}

// order finds the order of the writes from the last content, and what does not
// fit into it.
func (h *chains) order(name, last string) (v verdict, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	by := map[string]*step{}
	for _, s := range h.steps {
		if s.name == name {
			by[s.now] = s
		}
	}
	var path []*step
	for at := last; at != first(name); {
		s := by[at]
		if s == nil || len(path) > len(by) {
			return v, fmt.Errorf("content %q was written by nobody", at)
		}
		path = append(path, s)
		at = s.old
	}
	for i, s := range path {
		s.at = len(path) - i
	}
	var errs []error
	for _, s := range by {
		switch {
		case s.ok && s.at == 0:
			v.acked++
			v.lost++
			errs = append(errs, fmt.Errorf("acknowledged write lost: %q, which replaced %q", s.now, s.old))
		case s.ok:
			v.acked++
		default:
			v.unknown++
			if s.at > 0 {
				v.happened++
			}
		}
	}
	errs = append(errs, inTime(path)...)
	stale, wrong := h.judgeReads(name, path, by, &v)
	v.stale = stale
	return v, errors.Join(append(errs, wrong...)...)
}

// inTime wants no write in front of one that was answered before it was asked.
// Path begins with the last.
func inTime(path []*step) (errs []error) {
	var latest *step // the latest call of those in front
	for _, s := range slices.Backward(path) {
		if latest != nil && s.ret < latest.call {
			errs = append(errs, fmt.Errorf("%q is behind %q, which was asked after its answer", s.now, latest.now))
		}
		if latest == nil || s.call > latest.call {
			latest = s
		}
	}
	return errs
}

// judgeReads counts the reads that were behind what had been acknowledged before
// they were asked, and finds those of contents that were not there.
func (h *chains) judgeReads(name string, path []*step, by map[string]*step, v *verdict) (stale int, errs []error) {
	for _, r := range h.seen {
		if r.name != name {
			continue
		}
		v.reads++
		at := 0
		if r.value != first(name) {
			s := by[r.value]
			switch {
			case s == nil || s.at == 0:
				errs = append(errs, fmt.Errorf("member %d told %q, which was never there", r.member, r.value))
				continue
			case s.call > r.ret:
				errs = append(errs, fmt.Errorf("member %d told %q before it was asked for", r.member, r.value))
			}
			at = s.at
		}
		for _, s := range path { // from the last
			if s.at <= at {
				break
			}
			if s.ok && s.ret < r.call {
				stale++
				break
			}
		}
	}
	return stale, errs
}

// more waits until so many further writes are acknowledged.
func (h *chains) more(t *testing.T, n int64) {
	t.Helper()
	from := h.acked.Load()
	members.Eventually(t, "the chains get on", func() error {
		if got := h.acked.Load(); got < from+n {
			return fmt.Errorf("%d of %d", got-from, n)
		}
		return nil
	})
}
