package poll

import (
	"context"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/fanout"
)

// Waiting is a poll that waits. It ends once: by a change, by the end of its time
// or of its client, or when the server drains.
type Waiting struct {
	keeper *Keeper
	poll   *Poll
	place  *fanout.Waiter[configstore.Key, *Waiting]

	mu      sync.Mutex          // guards what follows
	heads   []*configstore.Head // by line, as compared; nil before
	missed  bool                // something changed before that
	ended   bool
	changed []*Line               // what it ended with
	tell    func(changed []*Line) // nil: nobody to tell yet
}

// Wait waits up to hold for the first change and returns that line alone
// (NAC-H1C-35). Nothing and no error mean that the time is over or the server is
// about to stop.
func (w *Waiting) Wait(ctx context.Context, hold time.Duration) ([]*Line, error) {
	woken := make(chan []*Line, 1) // told once
	w.Tell(func(changed []*Line) { woken <- changed })
	timer := time.NewTimer(hold)
	defer timer.Stop()
	var err error
	select {
	case changed := <-woken:
		return changed, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err() // the client is gone
	}
	if !w.end() {
		return <-woken, nil // ended at the same moment
	}
	return nil, err
}

// Tell has f called with what Wait would return, at once when that is known. It is
// called once at the most, and must not block.
func (w *Waiting) Tell(f func(changed []*Line)) {
	w.mu.Lock()
	w.tell = f
	w.mu.Unlock()
	w.deliver()
}

// Over ends the poll: its time has come, or the client is gone.
func (w *Waiting) Over(gone bool) {
	if w.end() && !gone {
		w.deliver()
	}
}

// settle says what was compared, unless something has changed meanwhile.
func (w *Waiting) settle(heads []*configstore.Head) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missed {
		w.missed = false
		return false
	}
	w.heads = heads
	return true
}

// due ends the poll when why gives a reason, and says whether it did.
func (w *Waiting) due(n int, why func(w *Waiting, n int) (bool, []*Line)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heads == nil {
		w.missed = true
	}
	if w.heads == nil || w.ended {
		return false
	}
	ended, changed := why(w, n)
	if ended {
		w.ended, w.changed = true, changed
	}
	return ended
}

// end ends the poll with nothing, and says whether it was this call that did.
func (w *Waiting) end() bool {
	w.mu.Lock()
	was := w.ended
	w.ended = true
	w.mu.Unlock()
	if was {
		return false
	}
	w.keeper.hub.Leave(w.place)
	w.keeper.parked.Add(-1)
	return true
}

func (w *Waiting) waits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heads != nil && !w.ended
}

// deliver tells who has ended, if it can be told already.
func (w *Waiting) deliver() {
	w.mu.Lock()
	if !w.ended || w.tell == nil {
		w.mu.Unlock()
		return
	}
	tell, changed := w.tell, w.changed
	w.tell = nil
	w.mu.Unlock()
	tell(changed)
}
