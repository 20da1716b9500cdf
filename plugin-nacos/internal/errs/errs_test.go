package errs

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// An outcome that is unknown is told as that, whatever it is for: 503 says that
// nothing happened (CTR-B08, ARC-R06).
func TestUncertain(t *testing.T) {
	for _, why := range []error{kv.ErrNoLeader, kv.ErrOverloaded, kv.ErrClosed} {
		if got := Of(fmt.Errorf("publish: %w: %w", kv.ErrUncertain, why)); got.Status != 500 || got.Detail != "outcome unknown" {
			t.Errorf("Of(uncertain, %v) = %+v", why, got)
		}
	}
	if got := Of(fmt.Errorf("publish: %w", kv.ErrNoLeader)); got.Status != 503 {
		t.Errorf("Of(no leader) = %+v, want 503", got)
	}
}
