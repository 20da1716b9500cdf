package naming

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/registry"
)

// listener is told what changes. Listeners are called by Run, one after another
// in the order they were registered, and must return quickly.
type listener func(registry.Change)

// OnChange registers what is called for every service that changed, in its
// newest state. When it is called, every read of this process sees at least that
// state. Legal before Run only.
func (s *Service) OnChange(f func(registry.Change)) { s.listeners = append(s.listeners, f) }

// Run pulls the changes of all services and tells the listeners until ctx ends.
// It begins with everything there is. It fails when the stream does; the next
// Run delivers everything again, so that nothing is missed.
func (s *Service) Run(ctx context.Context) (err error) {
	stream, err := s.catalog.Watch(ctx, registry.Query{}, 0)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("watch services: %w", err)
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		changes, err := stream.Next(ctx)
		if ctx.Err() != nil {
			return nil // the end of the worker
		}
		if err != nil {
			return fmt.Errorf("watch services: %w", err)
		}
		for i := range changes {
			s.tell(changes[i])
		}
	}
}

func (s *Service) tell(c registry.Change) {
	if ce := s.log.Check(zap.DebugLevel, "service changed"); ce != nil {
		k := c.Snapshot.Key
		ce.Write(zap.String("namespace", k.Namespace), zap.String("group", k.Group), zap.String("service", k.Name))
	}
	for _, f := range s.listeners {
		f(c)
	}
}
