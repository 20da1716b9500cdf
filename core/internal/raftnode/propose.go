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
	lent   bool      // data is read by others than the loop
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
	p := n.proposal()
	p.id, p.data = c.ID, fsm.AppendCommand(p.data[:0], c)
	if len(p.data) > kv.MaxCommand {
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrTooLarge)
	}
	for attempt := 1; ; attempt++ {
		out, err := n.attempt(ctx, p)
		if err == nil {
			n.recycle(p)
			return out, nil
		}
		if !errors.Is(err, errLost) {
			return out, err
		}
		if attempt == maxAttempts {
			return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrNoLeader, err)
		}
		p = &proposal{id: p.id, data: p.data, waiter: newWaiter(), lent: true}
	}
}

// attempt proposes a command once.
func (n *Node) attempt(ctx context.Context, p *proposal) (fsm.Outcome, error) {
	n.waiters.add(p.id, p.waiter)
	if !n.queue.put(p) {
		n.waiters.drop(p.id)
		n.meters.rejected.Inc()
		return fsm.Outcome{}, fmt.Errorf("propose: %w", kv.ErrOverloaded)
	}
	select {
	case a := <-p.waiter.answer: // also when the node fails or closes
		return a.outcome, a.err
	case <-ctx.Done():
		n.waiters.drop(p.id)
		return fsm.Outcome{}, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, ctx.Err())
	}
}

func newWaiter() *waiter { return &waiter{answer: make(chan answer, 1)} }

// maxKept is the largest buffer of a proposal that is used again.
const maxKept = 16 << 10

// proposal returns one that nobody else knows; its buffer may be an old one.
func (n *Node) proposal() *proposal {
	if p, ok := n.proposals.Get().(*proposal); ok {
		return p
	}
	return &proposal{waiter: newWaiter()}
}

// recycle takes back a proposal that was applied, which means that the loop has
// let go of it.
func (n *Node) recycle(p *proposal) {
	if p.lent {
		return
	}
	data := p.data[:0]
	if cap(data) > maxKept {
		data = nil
	}
	p.waiter.term.Store(0)
	*p = proposal{data: data, waiter: p.waiter}
	n.proposals.Put(p)
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
