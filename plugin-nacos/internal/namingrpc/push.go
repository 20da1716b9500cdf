package namingrpc

import (
	"container/heap"
	"context"
	"errors"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// run pushes what is due until ctx ends.
func (p *pusher) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	warm := time.After(p.warmUp)
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
func (p *pusher) warmed(ctx context.Context) <-chan time.Time {
	const again = 200 * time.Millisecond
	if ok, err := p.synced(ctx); err != nil || !ok {
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
func (p *pusher) flush(ctx context.Context, now time.Time) (wait time.Duration, any bool) {
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
		job.encode(ctx, p.naming)
		p.mu.Lock()
		p.send(t, job)
		p.mu.Unlock()
	}
	return 0, false
}

// job is one round of pushes of a topic.
type job struct {
	key      registry.ServiceKey
	snapshot *registry.Snapshot
	all      bool
	first    []*stream.Conn
	rests    map[string][]byte // the messages by the spelling of clusters
}

// take makes the job of a topic that is due; nil when its list is held back. mu
// is held.
func (p *pusher) take(t *topic, now time.Time) *job {
	j := &job{key: t.key, snapshot: t.snapshot, all: t.changed, first: t.first, rests: make(map[string][]byte, len(t.clusters))}
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
	for clusters := range t.clusters {
		j.rests[clusters] = nil
	}
	return j
}

// encode makes the messages, each once for all who see the service the same way.
func (j *job) encode(ctx context.Context, s *naming.Service) {
	for clusters := range j.rests {
		q := naming.Query{Key: j.key, Clusters: clusters, Local: true}
		var l *naming.List
		if j.snapshot != nil {
			l = s.Choose(j.snapshot, q)
		} else {
			var err error
			if l, err = s.List(ctx, q); err != nil {
				delete(j.rests, clusters) // the server ends
				continue
			}
		}
		j.rests[clusters] = restOf(l)
	}
}

// restOf is a NotifySubscriberRequest behind its request id (NAC-NAM-31).
func restOf(l *naming.List) []byte {
	const around = 256
	hosts := l.Hosts()
	b := make([]byte, 0, len(hosts)+around+len(l.Key.Name)+len(l.Key.Group))
	b = append(b, `"serviceInfo":`...)
	b = l.AppendHead(b, l.Key.Name)
	b = append(b, hosts...)
	b = l.AppendTail(b)
	return append(b, `,"module":"naming"}`...)
}

// send hands the messages to the connections, which wait for nobody; mu is held,
// so that who unsubscribed is not sent any.
func (p *pusher) send(t *topic, j *job) {
	if !j.all {
		for _, c := range j.first {
			if s, still := t.subscribers[c]; still {
				p.push(c, t, j.rests[s.clusters])
			}
		}
		return
	}
	for c, s := range t.subscribers {
		p.push(c, t, j.rests[s.clusters])
	}
}

func (p *pusher) push(c *stream.Conn, t *topic, rest []byte) {
	if rest == nil {
		return // what it asks for is newer than this job, and so is what it was answered
	}
	c.Push(stream.Push{Key: t, Type: typeNotify, Rest: rest, Timeout: p.timeout, Retries: stream.Forever, Backoff: p.backoff})
}

// schedule is a heap of topics by when they are due.
type schedule []*topic

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

func (s *schedule) Push(x any) {
	t := x.(*topic) //nolint:forcetypeassert // the heap holds nothing else
	t.index = len(*s)
	*s = append(*s, t)
}

func (s *schedule) Pop() any {
	old := *s
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	t.index = -1
	return t
}

// Synced asks a catalog, as Settings.Synced.
func Synced(c registry.Catalog) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		s, err := c.Stats(ctx)
		if errors.Is(err, kv.ErrNotFound) {
			err = nil
		}
		return s.Synced, err //nolint:wrapcheck // asked again
	}
}
