package authz

import (
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

// maxVerdicts bounds the remembered proofs; beyond it all are forgotten, which
// costs one verification each.
const maxVerdicts = 8192

// verdicts remembers what was verified in one epoch: tokens, or proofs of
// passwords.
type verdicts struct {
	mu    sync.RWMutex // guards epoch and known
	epoch uint64
	known map[string]*auth.Identity
}

// lookup returns the identity of what was verified at this epoch and is still
// valid, or nil.
func (v *verdicts) lookup(token string, epoch uint64, now time.Time) *auth.Identity {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.epoch != epoch {
		return nil
	}
	id := v.known[token]
	if id == nil || !id.Expires.IsZero() && id.Expires.Unix() < now.Unix() {
		return nil
	}
	return id
}

func (v *verdicts) remember(token string, id *auth.Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.epoch != id.Epoch || v.known == nil || len(v.known) >= maxVerdicts {
		v.epoch, v.known = id.Epoch, map[string]*auth.Identity{}
	}
	v.known[token] = id
}
