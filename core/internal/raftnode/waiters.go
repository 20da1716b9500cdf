package raftnode

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/easynet-cn/batata/core/internal/fsm"
)

// answer is what a proposer is told.
type answer struct {
	outcome fsm.Outcome
	err     error
}

// waiter is one proposer. Its channel holds the one answer there will be, so
// that telling never blocks.
type waiter struct {
	answer chan answer
	// term in which the command may be in a log; 0: in none so far.
	term atomic.Uint64
	gone atomic.Bool // nobody waits any more
}

// waiters finds who proposed a command.
//
// What becomes of a command is known from the log alone: terms never fall along
// it, so once an entry of a later term is applied, a command of an earlier one
// that was not applied before never will be.
type waiters struct {
	mu     sync.Mutex // guards what follows
	by     map[uint64]*waiter
	closed error // what everybody is told who comes later
}

// add registers the proposer of id.
func (w *waiters) add(id uint64, x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed != nil {
		x.answer <- answer{err: w.closed}
		return
	}
	if w.by == nil {
		w.by = map[uint64]*waiter{}
	}
	w.by[id] = x
}

func (w *waiters) drop(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.by[id]; ok {
		x.gone.Store(true)
		delete(w.by, id)
	}
}

// tell answers the proposers of outcomes; those of other members are not here.
func (w *waiters) tell(outs []fsm.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range outs {
		if x, ok := w.by[outs[i].ID]; ok {
			delete(w.by, outs[i].ID)
			x.answer <- answer{outcome: outs[i]}
		}
	}
}

// fail answers the proposer of p, unless it has been answered: a command that
// was lost and is proposed anew waits under the same id.
func (w *waiters) fail(p *proposal, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.by[p.id]; ok && x == p.waiter {
		delete(w.by, p.id)
		x.answer <- answer{err: err}
	}
}

// anyOf says whether the proposer of one of these still waits.
func (w *waiters) anyOf(batch []*proposal) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(batch, func(p *proposal) bool { return w.by[p.id] == p.waiter })
}

// failTerms ends the wait for commands that may be in a log, of a term below
// end.
func (w *waiters) failTerms(end uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.by {
		if t := x.term.Load(); t != 0 && t < end {
			delete(w.by, id)
			x.answer <- answer{err: err}
		}
	}
}

// close answers everybody, and who comes later; the first error stays.
func (w *waiters) close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = err
	}
	for id, x := range w.by {
		delete(w.by, id)
		x.answer <- answer{err: err}
	}
}
