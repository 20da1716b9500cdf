package drive

import (
	"slices"
	"sync"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// Feed is what a client was told about one item, in order: a queue for who waits
// for news, and a log of all of it. It is bounded by the length of a test.
type Feed struct {
	mu     sync.Mutex // guards events and read
	events []wire.Message
	read   int           // so many were taken by Next
	more   chan struct{} // holds one token when there is something new
}

func (f *Feed) add(m wire.Message) {
	f.mu.Lock()
	f.events = append(f.events, m)
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// More has a token when something came since it was last read from.
func (f *Feed) More() <-chan struct{} { return f.more }

// Next takes the oldest event that was not taken.
func (f *Feed) Next() (wire.Message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read == len(f.events) {
		return wire.Message{}, false
	}
	f.read++
	return f.events[f.read-1], true
}

// All returns every event so far, those that were taken too.
func (f *Feed) All() []wire.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

// Last returns the newest event.
func (f *Feed) Last() (wire.Message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		return wire.Message{}, false
	}
	return f.events[len(f.events)-1], true
}
