package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// proposal is one encoded command on its way into an entry.
type proposal struct {
	id     uint64
	data   []byte
	waiter *waiter   // nil: of another member
	parked time.Time // since when it waits for a leader; zero: it does not
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

// maxAttempts bounds how often one command is proposed anew, after changes of
// the leader that are certain to have lost it.
const maxAttempts = 5

// errLost reports a command that no leader can commit any more.
var errLost = errors.New("lost with its leader")

// submit queues c for the loop and waits for what it comes to.
func (n *Node) submit(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	c.ID = n.nextID.Add(1)
	data := fsm.AppendCommand(make([]byte, 0, fsm.Size(c)), c)
	if len(data) > kv.MaxCommand {
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrTooLarge)
	}
	for attempt := 1; ; attempt++ {
		out, err := n.attempt(ctx, c.ID, data)
		if !errors.Is(err, errLost) {
			return out, err
		}
		if attempt == maxAttempts {
			return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrNoLeader, err)
		}
	}
}

// attempt proposes a command once.
func (n *Node) attempt(ctx context.Context, id uint64, data []byte) (fsm.Outcome, error) {
	w := n.waiters.add(id)
	select {
	case n.queue <- &proposal{id: id, data: data, waiter: w}:
	default:
		n.waiters.drop(id)
		n.meters.rejected.Inc()
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrOverloaded)
	}
	select {
	case a := <-w.answer:
		return a.outcome, a.err
	case <-ctx.Done():
		n.waiters.drop(id)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, ctx.Err())
	case <-n.done: // perhaps after those who waited were told
		n.waiters.drop(id)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, n.Err())
	case <-n.stop:
		n.waiters.drop(id)
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
