package coretest

import (
	"context"
	"errors"
	"testing"
	"time"
)

var (
	errLeads    = errors.New("it leads")
	errNoLeader = errors.New("nobody leads")
)

// Eventually polls a condition of other goroutines until it is nil.
func Eventually(tb testing.TB, what string, holds func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience) //nolint:usetesting // also used while a test is cleaned up
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			tb.Fatalf("never: %s: %v", what, err)
		}
	}
}
