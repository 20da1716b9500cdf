package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
)

// listener is told what changes. Listeners are called by Run, one after another
// in the order they were registered, and must return quickly.
type listener struct {
	change func(configstore.Change)
	reset  func()
}

// OnChange registers what is called for every changed config, and what is
// called when changes may have been missed: whoever compared states before must
// then compare them again. Legal before Run only.
//
// A change is told for metadata too; SameContent tells those apart. When it is
// told, every read of this process sees it.
func (s *Service) OnChange(change func(configstore.Change), reset func()) {
	s.listeners = append(s.listeners, listener{change: change, reset: reset})
}

// Run pulls the changes of all configs and tells the listeners until ctx ends.
// It begins with one reset, since changes before it were not seen.
func (s *Service) Run(ctx context.Context) error {
	const pause = 200 * time.Millisecond // between attempts to open a stream
	for {
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of the worker
		}
		if !errors.Is(err, kv.ErrCompacted) {
			return fmt.Errorf("watch configs: %w", err)
		}
		s.log.Warn("changes of configs were missed, listeners compare again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// follow opens one stream and pulls it to its end.
func (s *Service) follow(ctx context.Context) (err error) {
	stream, err := s.configs.Watch(ctx, configstore.Query{AllSpaces: true}, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for _, l := range s.listeners {
		l.reset()
	}
	for {
		batch, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		for _, c := range batch.Changes {
			s.tell(c)
		}
	}
}

func (s *Service) tell(c configstore.Change) {
	if ce := s.log.Check(zap.DebugLevel, "config changed"); ce != nil {
		ce.Write(zap.String("namespace", c.Key.Namespace), zap.String("group", c.Key.Group), zap.String("data_id", c.Key.Name))
	}
	for _, l := range s.listeners {
		l.change(c)
	}
}
