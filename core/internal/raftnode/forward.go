package raftnode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
)

const (
	// maxForwards is how many batches may be on their way to the leader. While
	// they are, what comes waits and makes the next one larger.
	maxForwards = 2
	// maxForeign is how many batches of others may wait for the loop.
	maxForeign = 64
	// maxBatch is how much is joined into one batch; a larger command goes
	// alone.
	maxBatch = 1 << 20
)

// forwards are the batches on their way to the leader.
type forwards struct {
	origin uint64

	mu   sync.Mutex // guards what follows
	seq  uint64
	open map[uint64]struct{}
}

// begin numbers a batch; false when there are too many.
func (f *forwards) begin() (seq uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.open) >= maxForwards {
		return 0, false
	}
	if f.open == nil {
		f.open = map[uint64]struct{}{}
	}
	f.seq++
	f.open[f.seq] = struct{}{}
	return f.seq, true
}

func (f *forwards) end(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, seq)
}

// low is the first batch that may come again.
func (f *forwards) low() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	low := f.seq + 1
	for s := range f.open {
		low = min(low, s)
	}
	return low
}

// forward hands a round to the leader, each batch by a goroutine that ends with
// it or with the node.
func (n *Node) forward(leader uint64, round []*proposal) {
	for len(round) > 0 {
		seq, ok := n.forwards.begin()
		if !ok {
			n.park(round)
			return
		}
		size, count := 0, 0
		for _, p := range round {
			if count > 0 && size+len(p.data) > maxBatch {
				break
			}
			size += len(p.data)
			count++
		}
		b := &Batch{Term: n.term.Load(), Origin: n.forwards.origin, Seq: seq, Low: n.forwards.low()}
		batch := make([]*proposal, count)
		for i, p := range round[:count] {
			batch[i], p.lent = p, true
			b.Commands = append(b.Commands, p.data)
			if p.waiter != nil {
				p.waiter.term.Store(b.Term)
			}
		}
		round = round[count:]
		n.meters.forwarded.Add(float64(count))
		n.loops.Go(func() {
			n.deliver(leader, b, batch)
			n.forwards.end(seq)
			select {
			case n.freed <- struct{}{}:
			default:
			}
		})
	}
}

// deliver repeats a batch until the leader has taken or refused it, or until it
// leads no more. The proposals that were taken are answered by what is applied.
func (n *Node) deliver(leader uint64, b *Batch, batch []*proposal) {
	sent := false // an earlier attempt may have reached the leader
	for begin := time.Now(); ; n.shifted(b.Term) {
		if n.leader.Load() != leader || n.term.Load() != b.Term {
			if !sent {
				n.failBatch(batch, errLost)
			}
			return // what is applied later tells
		}
		if sent && !n.waiters.anyOf(batch) {
			return // what is applied has told them all
		}
		v, err := n.propose2(leader, b)
		switch {
		case err == nil:
			if v.Reason == NotLeader && sent {
				return // what is applied later tells
			}
			n.refused(v, b.Term, batch)
			return
		case n.ctx.Err() != nil:
			return // Close answers
		case !errors.Is(err, ErrUnsent):
			sent = true
		}
		n.logger.Debug("commands not forwarded", zap.String("member", name(leader)), zap.Error(err))
		if time.Since(begin) > n.patience() {
			err = kv.ErrUncertain
			if !sent {
				err = kv.ErrNoLeader
			}
			n.failBatch(batch, fmt.Errorf("propose: leader %s does not answer: %w", name(leader), err))
			return
		}
	}
}

// shifted returns when somebody leads in a later term, or after a tick.
func (n *Node) shifted(term uint64) {
	pause := time.NewTimer(n.tick)
	defer pause.Stop()
	for {
		changed := n.pressure.applied.wait()
		if n.leader.Load() != 0 && n.term.Load() > term {
			return
		}
		select {
		case <-changed:
		case <-pause.C:
			return
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) propose2(leader uint64, b *Batch) (Verdict, error) {
	ctx, cancel := context.WithTimeout(n.ctx, electionTicks*n.tick)
	defer cancel()
	return n.transport.Propose(ctx, leader, b)
}

// refused answers the proposals that the leader did not take: they are in no
// log.
func (n *Node) refused(v Verdict, term uint64, batch []*proposal) {
	rest := batch[min(v.Taken, len(batch)):]
	var err error
	switch v.Reason {
	case Taken:
		return
	case NotLeader:
		err = errLost
		n.shifted(term) // a new one is known soon
	case Overloaded:
		err = fmt.Errorf("propose: leader: %w", kv.ErrOverloaded)
	case ReadOnly:
		err = fmt.Errorf("propose: leader: disk full: %w", kv.ErrReadOnly)
	default:
		err = fmt.Errorf("propose: leader refused for a reason not known here, %d: %w", v.Reason, kv.ErrOverloaded)
	}
	n.failBatch(rest, err)
}

func (n *Node) failBatch(batch []*proposal, err error) {
	for _, p := range batch {
		n.waiters.fail(p, err)
	}
}

// foreign is a batch of another member.
type foreign struct {
	*Batch
	verdict chan Verdict // capacity 1
}

// window remembers the batches of one origin in this term, and how many of
// their commands were taken.
type window struct {
	low   uint64
	taken map[uint64]int
}

// Accept takes commands that another member proposes here.
func (n *Node) Accept(ctx context.Context, b *Batch) (Verdict, error) {
	switch err := n.admit(ctx); {
	case errors.Is(err, kv.ErrOverloaded):
		return Verdict{Reason: Overloaded}, nil
	case errors.Is(err, kv.ErrReadOnly) && n.Err() == nil:
		return Verdict{Reason: ReadOnly}, nil
	case err != nil:
		return Verdict{}, err
	}
	for _, c := range b.Commands {
		if len(c) == 0 || len(c) > kv.MaxCommand {
			return Verdict{}, fmt.Errorf("propose: command of %d bytes: %w", len(c), kv.ErrTooLarge)
		}
	}
	f := &foreign{Batch: b, verdict: make(chan Verdict, 1)}
	select {
	case n.foreign <- f:
	default:
		return Verdict{Reason: Overloaded}, nil
	}
	select {
	case v := <-f.verdict:
		return v, nil
	case <-ctx.Done():
		return Verdict{}, ctx.Err()
	case <-n.done:
		return Verdict{}, n.Err()
	case <-n.stop:
		return Verdict{}, kv.ErrClosed
	}
}

// take enters a batch of another member, once.
func (n *Node) take(f *foreign) {
	if !n.leads || n.transfers || f.Term != n.term.Load() {
		f.verdict <- Verdict{Reason: NotLeader}
		return
	}
	w := n.accepted[f.Origin]
	if w == nil {
		if n.accepted == nil {
			n.accepted = map[uint64]*window{}
		}
		w = &window{taken: map[uint64]int{}}
		n.accepted[f.Origin] = w
	}
	for w.low < f.Low {
		delete(w.taken, w.low)
		w.low++
		if len(w.taken) == 0 {
			w.low = f.Low
		}
	}
	taken, again := w.taken[f.Seq]
	if !again && f.Seq >= w.low {
		taken = n.takeAll(f.Commands)
		w.taken[f.Seq] = taken
	}
	v := Verdict{Taken: taken}
	if taken < len(f.Commands) {
		v.Reason = Overloaded
	}
	f.verdict <- v
}

// takeAll enters commands until one entry is refused, and returns how many are
// in the log.
func (n *Node) takeAll(commands [][]byte) (taken int) {
	round := make([]*proposal, len(commands))
	for i, c := range commands {
		round[i] = &proposal{data: c}
	}
	for rest := round; len(rest) > 0; {
		var err error
		if rest, err = n.enter(rest); err != nil {
			return taken
		}
		taken = len(round) - len(rest)
	}
	return taken
}
