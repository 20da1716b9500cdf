package plugintest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

// Run takes plugins that factory makes through everything a host does to them,
// each rule as a subtest.
func Run(t *testing.T, factory func() plugin.Plugin) {
	t.Helper()
	for _, c := range rules() {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			if err := c.check(t.Context(), factory, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// rule is one part of the contract of plugins.
type rule struct {
	name  string
	check func(ctx context.Context, factory func() plugin.Plugin, dir string) error
}

func rules() []rule {
	return []rule{
		{"manifest", manifest},
		{"configuration", configuration},
		{"new starts nothing", quiet},
		{"life", life},
		{"serves", serves},
		{"stop without start", unstarted},
		{"cancelled start", cancelled},
		{"restart on the same data", again},
		{"two in one process", twice},
	}
}

// leakless runs do and fails when a goroutine of it stays.
func leakless(do func() error) error {
	before := goleak.IgnoreCurrent()
	if err := do(); err != nil {
		return err
	}
	return goleak.Find(before)
}

// quiet checks that New starts no goroutine (ARC-P06).
func quiet(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	p := factory()
	s, err := prepared(ctx, p, Settings{Dir: dir})
	if err != nil {
		return err
	}
	before := goleak.IgnoreCurrent()
	if err = s.build(ctx, p); err == nil {
		err = goleak.Find(before)
	}
	return errors.Join(err, s.end(ctx))
}

// life goes from start to ready, drain and shutdown, the last one twice.
func life(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	return leakless(func() error {
		s, err := begun(ctx, factory, dir)
		if err != nil {
			return err
		}
		err = inproc.Await(ctx, s.instance)
		drained := within(ctx, drainLimit, s.Drain)
		closed := s.end(ctx)
		if again := within(ctx, stopLimit, s.instance.Shutdown); again != nil {
			closed = errors.Join(closed, fmt.Errorf("second shutdown: %w", again))
		}
		return errors.Join(err, drained, closed)
	})
}

// begun is a plugin that serves, in time.
func begun(ctx context.Context, factory func() plugin.Plugin, dir string) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return started(ctx, factory(), Settings{Dir: dir})
}

// unstarted checks that Shutdown is legal without Start.
func unstarted(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	return leakless(func() error {
		s, err := built(ctx, factory(), Settings{Dir: dir})
		if err != nil {
			return err
		}
		return s.end(ctx)
	})
}

// cancelled checks that a start whose context has ended returns, well or with an
// error, and can be shut down.
func cancelled(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	return leakless(func() error {
		s, err := built(ctx, factory(), Settings{Dir: dir})
		if err != nil {
			return err
		}
		late := within(ctx, stopLimit, func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_ = s.instance.Start(ctx) // it may fail, it must return
			return nil
		})
		return errors.Join(late, s.end(ctx))
	})
}

// again checks that a plugin comes back to the data it left.
func again(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	for life := range 2 {
		s, err := begun(ctx, factory, dir)
		if err != nil {
			return fmt.Errorf("start %d: %w", life+1, err)
		}
		if err := s.end(ctx); err != nil {
			return fmt.Errorf("stop %d: %w", life+1, err)
		}
	}
	return nil
}

// twice checks that two servers with the plugin live in one process (STY-07).
func twice(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	a, err := begun(ctx, factory, filepath.Join(dir, "a"))
	if err != nil {
		return err
	}
	b, err := begun(ctx, factory, filepath.Join(dir, "b"))
	if err != nil {
		return errors.Join(fmt.Errorf("the second: %w", err), a.end(ctx))
	}
	return errors.Join(a.end(ctx), b.end(ctx))
}
