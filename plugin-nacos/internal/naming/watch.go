package naming

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// listener is told what changes. Listeners are called by Run, one after another
// in the order they were registered, and must return quickly.
type listener struct {
	change func(registry.Change)
	reset  func()
}

// OnChange registers what is called for every service that changed, in its
// newest state. When it is called, every read of this process sees at least that
// state. Legal before Run only.
func (s *Service) OnChange(f func(registry.Change)) {
	s.listeners = append(s.listeners, listener{change: f})
}

// OnReset registers what is called when changes may have been missed: whoever
// keeps states must then read them again. Legal before Run only.
func (s *Service) OnReset(f func()) { s.listeners = append(s.listeners, listener{reset: f}) }

// Run pulls the changes of all services and tells the listeners until ctx ends.
// It begins with one reset, since changes before it were not seen.
func (s *Service) Run(ctx context.Context) error {
	err := s.follow(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of the worker
	}
	return fmt.Errorf("watch services: %w", err)
}

// follow looks at all services, then at those that change.
func (s *Service) follow(ctx context.Context) (err error) {
	s.index.begin()
	after, err := s.look(ctx)
	if err != nil {
		return err
	}
	defer s.index.drop()
	stream, err := s.catalog.Watch(ctx, registry.Query{}, after)
	if err != nil {
		return err //nolint:wrapcheck // Run names what failed
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for _, l := range s.listeners {
		if l.reset != nil {
			l.reset()
		}
	}
	for {
		changes, err := stream.Next(ctx)
		if err != nil {
			return err //nolint:wrapcheck // likewise
		}
		for i := range changes {
			s.tell(ctx, changes[i])
		}
		if n := len(changes); n > 0 {
			s.index.keep(changes[n-1].Snapshot.Version) // the oldest came first
		}
	}
}

// look finds the special services and returns the version from which on changes
// are news.
func (s *Service) look(ctx context.Context) (after uint64, err error) {
	q := registry.Query{Limit: kv.MaxPage}
	for first := true; ; first = false {
		page, err := s.catalog.Scan(ctx, q)
		if err != nil {
			return 0, err //nolint:wrapcheck // likewise
		}
		if first {
			after = page.Version
		}
		for _, snap := range page.Snapshots {
			s.observe(ctx, snap)
			s.index.set(snap.Key, true)
		}
		if page.Next == nil {
			break
		}
		q.From = *page.Next
	}
	s.special.load()
	s.index.keep(after)
	return after, nil
}

func (s *Service) tell(ctx context.Context, c registry.Change) {
	if ce := s.log.Check(zap.DebugLevel, "service changed"); ce != nil {
		k := c.Snapshot.Key
		ce.Write(zap.String("namespace", k.Namespace), zap.String("group", k.Group), zap.String("service", k.Name))
	}
	s.observe(ctx, c.Snapshot)
	s.index.set(c.Snapshot.Key, !c.Snapshot.Gone)
	for _, l := range s.listeners {
		if l.change != nil {
			l.change(c)
		}
	}
}
