package server

import "testing"

// ENG-19, GOAL-17: what a heap may grow by.
func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{
		1: 2000, 2 * mb: 2000, 16 * mb: 400, 32 * mb: 200, 128 * mb: 200, 256 * mb: 100, 341 * mb: 75, 16 << 30: 75,
	} {
		if got := percent(live); got != want {
			t.Errorf("percent(%d) = %d, want %d", live, got, want)
		}
	}
}
