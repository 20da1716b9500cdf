package stream

import (
	"context"
	"time"
)

// Times of the search for clients that went silent (NAC-TIM-05).
const (
	detectPeriod = 3 * time.Second
	detectIdle   = 20 * time.Second
	detectAnswer = 5 * time.Second
	// A client that reads nothing for so long is dropped.
	detectBlocked = 30 * time.Second
)

// Detect asks clients that were silent for a while whether they live, and drops
// those that do not answer (NAC-CON-33). It runs until ctx ends.
func (s *Server) Detect(ctx context.Context) error {
	ticker := time.NewTicker(detectPeriod)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.detect(now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) detect(now time.Time) {
	silent, blocked := now.Add(-detectIdle).UnixMilli(), now.Add(-detectBlocked).UnixMilli()
	for _, c := range s.Conns() {
		if since := c.sending.Load(); since != 0 && since <= blocked {
			s.drop(c, "it reads nothing")
			continue
		}
		if c.active.Load() <= silent {
			c.Push(Push{
				Key: detectKey{}, Type: "ClientDetectionRequest", Rest: detection, Timeout: detectAnswer,
			})
		}
	}
}

// detectKey is the key of the question, of which one is on its way at most.
type detectKey struct{}

var detection = []byte(`"module":"internal"}`) //nolint:gochecknoglobals // a constant
