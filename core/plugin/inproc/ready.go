package inproc

import (
	"context"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/plugin"
)

// readyPoll is how often a plugin that is not ready is asked again.
const readyPoll = 10 * time.Millisecond

// Await returns when a started plugin is ready; the error says what it still
// lacked when ctx ended.
func Await(ctx context.Context, i plugin.Instance) error {
	readier, ok := i.(plugin.Readier)
	if !ok {
		return nil
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		err := readier.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-tick.C:
		}
	}
}
