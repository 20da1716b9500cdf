package distro

import (
	"sync"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/registry"
)

// pending is the publishers of this member that have changed and are not stamped
// yet, each once: as many as there are, at most.
type pending struct {
	kick chan struct{} // capacity 1: there are some

	mu   sync.Mutex // guards what follows; nothing is called while it is held
	keys map[registry.PublisherKey]int
	list []catalog.Changed
}

var _ catalog.Replica = (*pending)(nil)

func newPending() *pending {
	return &pending{kick: make(chan struct{}, 1), keys: map[registry.PublisherKey]int{}}
}

// Changed implements catalog.Replica.
func (p *pending) Changed(c catalog.Changed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, has := p.keys[c.Key]; has {
		c.ByClient = c.ByClient || p.list[i].ByClient
		p.list[i] = c
		return
	}
	p.keys[c.Key] = len(p.list)
	p.list = append(p.list, c)
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// take returns what has changed, in the order in which it first did.
func (p *pending) take() []catalog.Changed {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	if len(list) > 0 {
		p.keys = map[registry.PublisherKey]int{}
	}
	return list
}

func (p *pending) clear() { p.take() }

func (p *pending) has(k registry.PublisherKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, has := p.keys[k]
	return has
}
