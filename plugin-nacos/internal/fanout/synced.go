package fanout

import (
	"context"
	"errors"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

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
