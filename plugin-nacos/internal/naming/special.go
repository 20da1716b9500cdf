package naming

import (
	"context"
	"strings"
	"sync"

	"github.com/easynet-cn/batata/core/registry"
)

// special are the services that a registration has to look at before it goes on:
// those that hold persistent instances, or for which something is set. Most
// services are not, and to look at each of them would build its list anew with
// every registration of a burst.
//
// A service is noted after it became special, by whoever made it so and by the
// stream of changes; it is forgotten after another look at it, under the same
// mutex, so that no old news undoes a newer note.
type special struct {
	mu     sync.RWMutex // guards the rest
	loaded bool         // all services were looked at
	keys   map[registry.ServiceKey]struct{}
}

// is says whether a service may be special.
func (s *special) is(k registry.ServiceKey) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, there := s.keys[k]
	return there || !s.loaded
}

func (s *special) note(k registry.ServiceKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[registry.ServiceKey]struct{}{}
	}
	if _, there := s.keys[k]; !there { // k may be part of a request
		k.Namespace, k.Group, k.Name = strings.Clone(k.Namespace), strings.Clone(k.Group), strings.Clone(k.Name)
		s.keys[k] = struct{}{}
	}
}

func (s *special) load() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
}

// forget drops a service unless now says that it is special.
func (s *special) forget(k registry.ServiceKey, now func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.keys[k]; there && !now() {
		delete(s.keys, k)
	}
}

// observe keeps the special services.
func (s *Service) observe(ctx context.Context, snap *registry.Snapshot) {
	if s.isSpecial(snap) {
		s.special.note(snap.Key)
		return
	}
	s.special.forget(snap.Key, func() bool {
		now, err := s.snapshot(ctx, snap.Key)
		return err != nil || s.isSpecial(now)
	})
}

func (s *Service) isSpecial(snap *registry.Snapshot) bool {
	return snap != nil && !snap.Gone && (snap.Service != nil || s.kind(snap) == Persistent)
}

// glance is the snapshot of a service that a registration has to look at, nil for
// all others.
func (s *Service) glance(ctx context.Context, k registry.ServiceKey) (*registry.Snapshot, error) {
	if !s.special.is(k) {
		return nil, nil //nolint:nilnil // nothing to look at
	}
	return s.snapshot(ctx, k)
}
