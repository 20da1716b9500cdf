package raftnode

import (
	"context"
	"fmt"
	"sync"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// proposal is one encoded command on its way into an entry.
type proposal struct {
	id   uint64
	data []byte
}

// Propose commits t and returns what it came to, once this node has applied it.
// Errors before proposing are certain; kv.ErrUncertain is not.
func (n *Node) Propose(ctx context.Context, t *fsm.Txn) (fsm.Outcome, error) {
	if err := n.store.Validate(t); err != nil {
		return fsm.Outcome{}, err
	}
	return n.propose(ctx, &fsm.Command{Txn: t})
}

// Declare gives ids to tables.
func (n *Node) Declare(ctx context.Context, d *fsm.Declare) error {
	out, err := n.propose(ctx, &fsm.Command{Declare: d})
	if err == nil {
		err = out.Err
	}
	if err != nil {
		return fmt.Errorf("declare tables of %s: %w", d.Owner, err)
	}
	return nil
}

func (n *Node) propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	if err := n.admit(ctx); err != nil {
		return fsm.Outcome{}, err
	}
	return n.submit(ctx, c)
}

// submit queues c for the loop and waits for what it comes to.
func (n *Node) submit(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	c.ID = n.nextID.Add(1)
	p := &proposal{id: c.ID, data: fsm.AppendCommand(make([]byte, 0, fsm.Size(c)), c)}
	if len(p.data) > kv.MaxCommand {
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrTooLarge)
	}
	w := n.waiters.add(c.ID)
	select {
	case n.queue <- p:
	default:
		n.waiters.drop(c.ID)
		n.meters.rejected.Inc()
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrOverloaded)
	}
	select {
	case a := <-w:
		return a.outcome, a.err
	case <-ctx.Done():
		n.waiters.drop(c.ID)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, ctx.Err())
	case <-n.done: // perhaps after those who waited were told
		n.waiters.drop(c.ID)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, n.Err())
	case <-n.stop:
		n.waiters.drop(c.ID)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, kv.ErrClosed)
	}
}

// admit refuses or delays what the member should not take on now.
func (n *Node) admit(ctx context.Context) error {
	select {
	case <-n.stop:
		return fmt.Errorf("propose: %w", kv.ErrClosed)
	case <-n.done:
		return fmt.Errorf("propose: %w: %w", kv.ErrReadOnly, n.Err())
	default:
	}
	if n.readOnly.Load() || n.store.ReadOnly() {
		return fmt.Errorf("propose: disk full: %w", kv.ErrReadOnly)
	}
	if err := n.pressure.wait(ctx); err != nil {
		n.meters.rejected.Inc()
		return fmt.Errorf("propose: %w", err)
	}
	return nil
}

// answer is what a proposer is told.
type answer struct {
	outcome fsm.Outcome
	err     error
}

// waiters finds who proposed a command.
type waiters struct {
	mu sync.Mutex // guards by
	by map[uint64]chan answer
}

// add registers the proposer of id. The channel holds the one answer there
// will be, so that telling never blocks.
func (w *waiters) add(id uint64) chan answer {
	ch := make(chan answer, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[uint64]chan answer{}
	}
	w.by[id] = ch
	return ch
}

func (w *waiters) drop(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, id)
}

// tell answers the proposers of outcomes; those of other members are not here.
func (w *waiters) tell(outs []fsm.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range outs {
		if ch, ok := w.by[outs[i].ID]; ok {
			delete(w.by, outs[i].ID)
			ch <- answer{outcome: outs[i]}
		}
	}
}

func (w *waiters) fail(id uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch, ok := w.by[id]; ok {
		delete(w.by, id)
		ch <- answer{err: err}
	}
}

func (w *waiters) failAll(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, ch := range w.by {
		delete(w.by, id)
		ch <- answer{err: err}
	}
}
