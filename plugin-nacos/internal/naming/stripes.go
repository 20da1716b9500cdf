package naming

import (
	"hash/maphash"
	"sync"
)

// stripes let one client without a connection do one thing after another: whoever
// ends it because it has nothing left must not meet its next registration. They
// are held over calls of core that only touch memory of this process.
type stripes struct{ locks [64]sync.Mutex }

var stripeSeed = maphash.MakeSeed() //nolint:gochecknoglobals // a constant of the process

// lock locks a client; connections have a lock of their own.
func (s *stripes) lock(c Client) held {
	if !c.Beats {
		return held{}
	}
	l := &s.locks[maphash.String(stripeSeed, c.ID)%uint64(len(s.locks))]
	l.Lock()
	return held{l}
}

// held is the lock of a client, to be unlocked.
type held struct{ lock *sync.Mutex }

func (h held) unlock() {
	if h.lock != nil {
		h.lock.Unlock()
	}
}
