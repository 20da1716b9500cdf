package fanout

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// ErrFull reports a bound of the Settings that is reached.
var ErrFull = errors.New("too many subscriptions")

// Settings are what a Pusher stands on. C is who subscribes, M is a list as it is
// sent.
type Settings[C comparable, M any] struct {
	Naming *naming.Service
	// Synced says whether the registry holds everything it can know (CTR-R09).
	Synced func(context.Context) (bool, error)

	Delay  time.Duration // of a push after a change; 0: adaptive (ENG-11)
	WarmUp time.Duration // after the start, at least (FLT-04)

	// Encode makes what those are sent who see a service the same way.
	Encode func(l *naming.List) M
	// Push takes what one subscriber is sent. It is called under a lock: it must
	// wait for nothing and call no method of the Pusher. The pointer is the same
	// for one service as long as it has subscribers.
	Push func(c C, k *registry.ServiceKey, m M)
	// Flush, unless nil, is called after a round of Push, without the lock.
	Flush func(ctx context.Context)

	MaxEach  int // services of one subscriber
	MaxTotal int // subscriptions; 0: no bound
	MaxViews int // ways to see one service; 0: no bound
}

// Pusher knows who subscribes to what, and pushes what has changed. Its methods
// are safe for concurrent use.
type Pusher[C comparable, M any] struct {
	settings Settings[C, M]
	wake     chan struct{} // capacity 1: Run looks at the topics that are due again

	mu     sync.Mutex // guards the rest
	topics map[registry.ServiceKey]*topic[C]
	byWho  map[C][]*topic[C]
	due    schedule[C]
	warm   bool
	count  int // of subscriptions
}

// Subscription is what somebody asked for; everybody has one for each service,
// and the last one counts (NAC-NAM-29).
type Subscription struct{ Clusters, App, Agent string }

// topic is one service that somebody subscribes to.
type topic[C comparable] struct {
	key         registry.ServiceKey
	subscribers map[C]Subscription
	clusters    map[string]int // as the subscribers spell them, and how many do

	snapshot *registry.Snapshot // the newest one that changed; nil: none since somebody subscribed
	changed  bool               // all are to be pushed
	first    []C                // who are to be pushed for the first time (NAC-NAM-30), or again
	window   window
	at       time.Time // when it is due
	index    int       // in the schedule; -1: not due

	shown int  // instances of the longest list that was shown, while warming up
	held  bool // a shorter one waits for the end of that
}

// New builds a Pusher that is told of changes by the service; legal before the
// Run of that only.
func New[C comparable, M any](s Settings[C, M]) *Pusher[C, M] {
	p := &Pusher[C, M]{
		settings: s, wake: make(chan struct{}, 1),
		topics: map[registry.ServiceKey]*topic[C]{}, byWho: map[C][]*topic[C]{},
		warm: s.WarmUp == 0,
	}
	s.Naming.OnChange(p.change)
	s.Naming.OnReset(p.reset)
	return p
}

// Add notes a subscriber, or what it asks for from now on. New is whether it had
// no subscription before; whoever adds must see to it that Leave follows.
func (p *Pusher[C, M]) Add(c C, k registry.ServiceKey, s Subscription) (isNew bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine, known := p.byWho[c]
	t := p.topics[k]
	if t != nil {
		if old, again := t.subscribers[c]; again {
			if old.Clusters != s.Clusters && p.viewed(t, s.Clusters) {
				return false, ErrFull
			}
			t.leave(old.Clusters)
			t.enter(c, s)
			return false, nil
		}
		if p.viewed(t, s.Clusters) {
			return false, ErrFull
		}
	}
	if len(mine) >= p.settings.MaxEach || p.settings.MaxTotal > 0 && p.count >= p.settings.MaxTotal {
		return false, ErrFull
	}
	if t == nil {
		t = &topic[C]{key: k, subscribers: map[C]Subscription{}, clusters: map[string]int{}, index: -1}
		p.topics[k] = t
	}
	t.enter(c, s)
	p.byWho[c] = append(mine, t)
	p.count++
	t.first = append(t.first, c)
	delay := p.settings.Delay
	if delay == 0 {
		delay = longest
	}
	p.plan(t, time.Now().Add(delay))
	return !known, nil
}

// viewed says whether a service is seen in as many ways as may be, and not in
// this one. mu is held.
func (p *Pusher[C, M]) viewed(t *topic[C], clusters string) bool {
	return p.settings.MaxViews > 0 && t.clusters[clusters] == 0 && len(t.clusters) >= p.settings.MaxViews
}

// Again notes that a subscriber is to be pushed what there is now.
func (p *Pusher[C, M]) Again(c C, k registry.ServiceKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[k]
	if t == nil {
		return
	}
	if _, there := t.subscribers[c]; there {
		t.first = append(t.first, c)
		p.plan(t, time.Now())
	}
}

func (t *topic[C]) enter(c C, s Subscription) {
	t.subscribers[c] = s
	t.clusters[s.Clusters]++
}

func (t *topic[C]) leave(clusters string) {
	if t.clusters[clusters]--; t.clusters[clusters] == 0 {
		delete(t.clusters, clusters)
	}
}

// Remove forgets a subscription; gone, unless nil, is called under the lock, so
// that no push comes after it.
func (p *Pusher[C, M]) Remove(c C, k registry.ServiceKey, gone func(*registry.ServiceKey)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[k]
	if t == nil {
		return
	}
	if _, there := t.subscribers[c]; !there {
		return
	}
	mine := p.byWho[c]
	for i := range mine {
		if mine[i] == t {
			mine[i] = mine[len(mine)-1]
			p.byWho[c] = mine[:len(mine)-1]
			break
		}
	}
	p.drop(c, t)
	if gone != nil {
		gone(&t.key)
	}
}

// Leave forgets somebody.
func (p *Pusher[C, M]) Leave(c C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byWho[c] {
		p.drop(c, t)
	}
	delete(p.byWho, c)
}

// drop takes a subscriber from a topic; mu is held.
func (p *Pusher[C, M]) drop(c C, t *topic[C]) {
	t.leave(t.subscribers[c].Clusters)
	delete(t.subscribers, c)
	p.count--
	if len(t.subscribers) > 0 {
		return
	}
	if t.index >= 0 {
		heap.Remove(&p.due, t.index)
	}
	delete(p.topics, t.key)
}

// change notes that a service is to be pushed.
func (p *Pusher[C, M]) change(c registry.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[c.Snapshot.Key]
	if t == nil {
		return
	}
	t.snapshot = c.Snapshot
	if t.changed {
		return // it is on the schedule
	}
	t.changed = true
	p.plan(t, t.window.due(time.Now(), p.settings.Delay))
}

// reset notes that every service is to be pushed: changes may have been missed.
func (p *Pusher[C, M]) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, t := range p.topics {
		t.snapshot, t.changed = nil, true
		p.plan(t, now)
	}
}

// Shown notes what a subscriber was answered.
func (p *Pusher[C, M]) Shown(k registry.ServiceKey, snap *registry.Snapshot) {
	if snap == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.topics[k]; t != nil && !p.warm {
		t.shown = max(t.shown, len(snap.Endpoints))
	}
}

// plan puts a topic on the schedule, at the latest at a moment; mu is held.
func (p *Pusher[C, M]) plan(t *topic[C], at time.Time) {
	switch {
	case t.index < 0:
		t.at = at
		heap.Push(&p.due, t)
	case at.Before(t.at):
		t.at = at
		heap.Fix(&p.due, t.index)
	}
	if t.index == 0 {
		select {
		case p.wake <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// Each calls f for the subscribers of a service, under the lock.
func (p *Pusher[C, M]) Each(k registry.ServiceKey, f func(C, Subscription)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.topics[k]; t != nil {
		for c, s := range t.subscribers {
			f(c, s)
		}
	}
}

// Of calls f for what somebody subscribed to, under the lock.
func (p *Pusher[C, M]) Of(c C, f func(registry.ServiceKey, Subscription)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byWho[c] {
		f(t.key, t.subscribers[c])
	}
}

// Count is the number of subscriptions.
func (p *Pusher[C, M]) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
