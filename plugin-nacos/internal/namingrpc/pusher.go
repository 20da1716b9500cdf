package namingrpc

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// maxSubscribed bounds what one connection may subscribe to.
const maxSubscribed = 10_000

// pusher knows who subscribes to what, and pushes what has changed.
type pusher struct {
	naming  *naming.Service
	synced  func(context.Context) (bool, error)
	delay   time.Duration
	timeout time.Duration
	warmUp  time.Duration
	backoff func(int) time.Duration
	wake    chan struct{} // capacity 1: run looks at the topics that are due again

	mu     sync.Mutex // guards the rest
	topics map[registry.ServiceKey]*topic
	byConn map[*stream.Conn][]*topic
	due    schedule
	warm   bool
	count  int // of subscriptions
}

// subscription is what a connection asked for; it has one for each service, and
// the last one counts (NAC-NAM-29).
type subscription struct{ clusters, app string }

// topic is one service that somebody subscribes to.
type topic struct {
	key         registry.ServiceKey
	subscribers map[*stream.Conn]subscription
	clusters    map[string]int // as the subscribers spell them, and how many do

	snapshot *registry.Snapshot // the newest one that changed; nil: none since somebody subscribed
	changed  bool               // all are to be pushed
	first    []*stream.Conn     // who are to be pushed for the first time (NAC-NAM-30)
	window   window
	at       time.Time // when it is due
	index    int       // in the schedule; -1: not due

	shown int  // instances of the longest list that was shown, while warming up
	held  bool // a shorter one waits for the end of that
}

func newPusher(s Settings) *pusher {
	return &pusher{
		naming: s.Naming, synced: s.Synced, delay: s.Delay, timeout: s.Timeout, warmUp: s.WarmUp,
		backoff: func(int) time.Duration { return s.Retry },
		wake:    make(chan struct{}, 1),
		topics:  map[registry.ServiceKey]*topic{}, byConn: map[*stream.Conn][]*topic{},
		warm: s.WarmUp == 0,
	}
}

// add notes a subscriber, or what it asks for from now on.
func (p *pusher) add(c *stream.Conn, k registry.ServiceKey, s subscription) error {
	p.mu.Lock()
	mine, known := p.byConn[c]
	t := p.topics[k]
	if t != nil {
		if old, again := t.subscribers[c]; again {
			t.leave(old.clusters)
			t.enter(c, s)
			p.mu.Unlock()
			return nil
		}
	}
	if len(mine) >= maxSubscribed {
		p.mu.Unlock()
		return bad(fmt.Sprintf("more than %d services on one connection", maxSubscribed))
	}
	if t == nil {
		t = &topic{key: k, subscribers: map[*stream.Conn]subscription{}, clusters: map[string]int{}, index: -1}
		p.topics[k] = t
	}
	t.enter(c, s)
	p.byConn[c] = append(mine, t)
	p.count++
	t.first = append(t.first, c)
	delay := p.delay
	if delay == 0 {
		delay = longest
	}
	p.plan(t, time.Now().Add(delay))
	p.mu.Unlock()
	if !known {
		c.OnClose(func() { p.leave(c) })
	}
	return nil
}

func (t *topic) enter(c *stream.Conn, s subscription) {
	t.subscribers[c] = s
	t.clusters[s.clusters]++
}

func (t *topic) leave(clusters string) {
	if t.clusters[clusters]--; t.clusters[clusters] == 0 {
		delete(t.clusters, clusters)
	}
}

// remove forgets a subscriber and what is on its way to it.
func (p *pusher) remove(c *stream.Conn, k registry.ServiceKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[k]
	if t == nil {
		return
	}
	if _, there := t.subscribers[c]; !there {
		return
	}
	mine := p.byConn[c]
	for i := range mine {
		if mine[i] == t {
			mine[i] = mine[len(mine)-1]
			p.byConn[c] = mine[:len(mine)-1]
			break
		}
	}
	p.drop(c, t)
	c.Withdraw(t)
}

// leave forgets a connection that has ended.
func (p *pusher) leave(c *stream.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byConn[c] {
		p.drop(c, t)
	}
	delete(p.byConn, c)
}

// drop takes a subscriber from a topic; mu is held.
func (p *pusher) drop(c *stream.Conn, t *topic) {
	t.leave(t.subscribers[c].clusters)
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
func (p *pusher) change(c registry.Change) {
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
	p.plan(t, t.window.due(time.Now(), p.delay))
}

// reset notes that every service is to be pushed: changes may have been missed.
func (p *pusher) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, t := range p.topics {
		t.snapshot, t.changed = nil, true
		p.plan(t, now)
	}
}

// shown notes what a subscriber was answered.
func (p *pusher) shown(k registry.ServiceKey, snap *registry.Snapshot) {
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
func (p *pusher) plan(t *topic, at time.Time) {
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
