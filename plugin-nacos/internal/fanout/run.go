package fanout

import (
	"container/heap"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// Run pushes what is due until ctx ends.
func (p *Pusher[C, M]) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	warm := time.After(p.settings.WarmUp)
	for {
		wait, any := p.flush(ctx, time.Now())
		var due <-chan time.Time
		if any {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-p.wake:
		case <-due:
		case <-warm:
			warm = p.warmed(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// warmed ends the time in which shorter lists are held back, once the registry
// knows all it can; else it says when to ask again.
func (p *Pusher[C, M]) warmed(ctx context.Context) <-chan time.Time {
	const again = 200 * time.Millisecond
	if ok, err := p.settings.Synced(ctx); err != nil || !ok {
		return time.After(again)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warm = true
	now := time.Now()
	for _, t := range p.topics {
		if t.held {
			t.held, t.changed = false, true
			p.plan(t, now)
		}
	}
	return nil
}

// flush pushes what is due and returns how long until the next topic is.
func (p *Pusher[C, M]) flush(ctx context.Context, now time.Time) (wait time.Duration, any bool) {
	for ctx.Err() == nil {
		p.mu.Lock()
		if len(p.due) == 0 {
			p.mu.Unlock()
			return 0, false
		}
		t := p.due[0]
		if wait = t.at.Sub(now); wait > 0 {
			p.mu.Unlock()
			return wait, true
		}
		heap.Pop(&p.due)
		job := p.take(t, now)
		p.mu.Unlock()
		if job == nil {
			continue
		}
		job.encode(ctx, &p.settings)
		p.mu.Lock()
		p.send(t, job)
		p.mu.Unlock()
		if p.settings.Flush != nil {
			p.settings.Flush(ctx)
		}
	}
	return 0, false
}

// job is one round of pushes of a topic.
type job[C comparable, M any] struct {
	key      registry.ServiceKey
	snapshot *registry.Snapshot
	all      bool
	first    []C
	views    []string     // the spellings of clusters
	messages map[string]M // by them; without those that could not be made
}

// take makes the job of a topic that is due; nil when its list is held back. mu
// is held.
func (p *Pusher[C, M]) take(t *topic[C], now time.Time) *job[C, M] {
	j := &job[C, M]{
		key: t.key, snapshot: t.snapshot, all: t.changed, first: t.first,
		messages: make(map[string]M, len(t.clusters)),
	}
	t.first, t.changed = nil, false
	if j.all && j.snapshot != nil && !p.warm {
		n := len(j.snapshot.Endpoints)
		if n < t.shown {
			t.held, j.all = true, false
		} else {
			t.shown, t.held = n, false
		}
	}
	if !j.all && len(j.first) == 0 {
		return nil
	}
	if j.all {
		t.window.pushed(now)
	}
	j.views = t.views(j.all, j.first)
	return j
}

// views are the ways in which those see a service who are to be pushed.
func (t *topic[C]) views(all bool, first []C) []string {
	if all {
		return slices.Collect(maps.Keys(t.clusters))
	}
	var out []string
	for _, c := range first {
		if s, still := t.subscribers[c]; still && !slices.Contains(out, s.Clusters) {
			out = append(out, s.Clusters)
		}
	}
	return out
}

// encode makes the messages, each once for all who see the service the same way.
func (j *job[C, M]) encode(ctx context.Context, s *Settings[C, M]) {
	for _, clusters := range j.views {
		q := naming.Query{Key: j.key, Clusters: clusters, Local: true}
		var l *naming.List
		if j.snapshot != nil {
			l = s.Naming.Choose(j.snapshot, q)
		} else {
			var err error
			if l, err = s.Naming.List(ctx, q); err != nil {
				continue // the server ends
			}
		}
		j.messages[clusters] = s.Encode(l)
	}
}

// send hands the messages over; mu is held, so that who unsubscribed is not sent
// any.
func (p *Pusher[C, M]) send(t *topic[C], j *job[C, M]) {
	if !j.all {
		for _, c := range j.first {
			if s, still := t.subscribers[c]; still {
				p.push(c, t, s, j)
			}
		}
		return
	}
	for c, s := range t.subscribers {
		p.push(c, t, s, j)
	}
}

func (p *Pusher[C, M]) push(c C, t *topic[C], s Subscription, j *job[C, M]) {
	m, made := j.messages[s.Clusters]
	if !made {
		return // what it asks for is newer than this job, and so is what it was answered
	}
	p.settings.Push(c, &t.key, m)
}

// schedule is a heap of topics by when they are due.
type schedule[C comparable] []*topic[C]

func (s schedule[C]) Len() int           { return len(s) }
func (s schedule[C]) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule[C]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

func (s *schedule[C]) Push(x any) {
	t := x.(*topic[C]) //nolint:forcetypeassert // the heap holds nothing else
	t.index = len(*s)
	*s = append(*s, t)
}

func (s *schedule[C]) Pop() any {
	old := *s
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	t.index = -1
	return t
}
