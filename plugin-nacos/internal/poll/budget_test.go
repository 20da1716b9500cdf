//go:build !race

package poll

import (
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
)

// A change that nobody waits for costs nothing: there are as many as writes.
func TestBudgetWake(t *testing.T) {
	r := newRig(t)
	r.publish(t, "a", "1")
	key := config.Key("a", "G", "")
	if n := testing.AllocsPerRun(1000, func() { r.wake(key) }); n != 0 {
		t.Errorf("wake() with nobody there makes %v allocations, want 0", n)
	}
}
