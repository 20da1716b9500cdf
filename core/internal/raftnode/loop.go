package raftnode

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// spaceRetry is the pause before a full disk is tried again (REL-04).
const spaceRetry = 250 * time.Millisecond

// loop owns raft and the log.
func (n *Node) loop() {
	defer close(n.applies)
	ticker := time.NewTicker(n.tick / fine)
	defer ticker.Stop()
	n.linger.Stop()
	for {
		if err := n.drain(); err != nil {
			if !errors.Is(err, kv.ErrClosed) {
				n.Fail(err)
			}
			return
		}
		if n.found {
			n.found = false
			n.unpark(time.Now())
			n.rounds.again(n)
			continue
		}
		queued, foreign := n.open()
		select {
		case <-n.stop:
			return
		case <-n.done:
			return
		case <-ticker.C:
			n.ticked()
		case m := <-n.inbox:
			n.receive(m)
		case m := <-n.bulk:
			n.receive(m)
		case <-queued:
			n.collect()
		case <-n.freed:
			n.unpark(time.Now())
		case f := <-foreign:
			n.take(f)
		case b := <-n.reads:
			n.ask(b)
		case do := <-n.control:
			do()
		}
		n.gather()
	}
}

// ticked is the passing of time.
func (n *Node) ticked() {
	n.raft.Tick()
	n.acked.ticked(n.transport)
	n.bury(time.Now())
	if n.ticks++; n.ticks%fine != 0 {
		return
	}
	if n.transfers && n.raft.BasicStatus().LeadTransferee == 0 {
		n.transfers = false // given up, or done
	}
	n.housekeeping()
	now := time.Now()
	n.rounds.ticked(n, now)
	n.unpark(now)
	lost := n.leader.Load() == 0 && now.Sub(n.leaderless) >= n.grace()
	n.lost.Store(lost)
	if lost {
		// Nobody who could answer is in sight, and what is in a log may be
		// committed yet (STY-34).
		n.waiters.failTerms(forever, fmt.Errorf("propose: %w: %w", kv.ErrUncertain, kv.ErrNoLeader))
	}
}

// forever is above every term.
const forever = 1 << 63

// graceTicks is how long one waits without a leader. With the election timeout,
// doubled because a leader looks at its quorum once in a while only, a member
// that is cut off refuses within three seconds (REL-07).
const graceTicks = 7

func (n *Node) grace() time.Duration { return graceTicks * n.tick }

// patience bounds the wait for a leader that is known but does not answer.
func (n *Node) patience() time.Duration { return 25 * n.tick }

// drain handles every Ready there is (ARC-R03): show, send what need not be on
// disk, save, send the rest, hand on, advance.
func (n *Node) drain() error {
	for n.raft.HasReady() {
		rd := n.raft.Ready()
		n.publish(rd)
		n.began(rd.Entries)
		answers := n.sendEarly(rd.Messages)
		// gofail: var raftnodeBeforeSave struct{}
		install, err := n.save(rd)
		if err != nil {
			return err
		}
		// gofail: var raftnodeAfterSave struct{}
		if answers = n.acked.hold(answers); len(answers) > 0 {
			n.transport.Send(answers)
		}
		n.rounds.answered(n, rd.ReadStates)
		if install != nil {
			if err := n.pass(batch{install: install}); err != nil {
				return err
			}
		}
		if err := n.handOn(rd.CommittedEntries); err != nil {
			return err
		}
		// gofail: var raftnodeBeforeAdvance struct{}
		n.raft.Advance(rd)
	}
	n.discardUntaken()
	return nil
}

// sendEarly sends what promises nothing about this member's disk, so that the
// others write while this one does, and returns the rest: votes and
// acknowledgements (ARC-K10).
func (n *Node) sendEarly(ms []*raftpb.Message) (answers []*raftpb.Message) {
	if len(ms) == 0 {
		return nil
	}
	// gofail: var raftnodeBeforeSend struct{}
	i := 0
	for i < len(ms) && !promises(ms[i].GetType()) {
		i++ // raft puts them first
	}
	if i > 0 {
		n.transport.Send(sparse(ms[:i:i]))
	}
	return ms[i:]
}

func promises(t raftpb.MessageType) bool {
	return t == raftpb.MsgAppResp || t == raftpb.MsgVoteResp || t == raftpb.MsgPreVoteResp
}

// publish shows the soft state.
func (n *Node) publish(rd raft.Ready) {
	if rd.HardState != nil {
		if t := rd.GetTerm(); t != n.term.Load() {
			n.term.Store(t)
			n.accepted = nil
			n.meters.term.Set(float64(t))
		}
		n.commit.Store(rd.GetCommit())
	}
	if rd.SoftState != nil {
		n.led(rd.SoftState)
	}
}

// led follows a change of the leader.
func (n *Node) led(s *raft.SoftState) {
	n.leads = s.RaftState == raft.StateLeader
	n.transfers = false
	n.lease.Store(nil)
	before := n.leader.Swap(s.Lead)
	n.meters.led(n.leads)
	if before == s.Lead {
		return
	}
	if s.Lead == 0 {
		n.leaderless = time.Now()
		if !n.heir.next.IsZero() {
			n.leaderless = n.leaderless.Add(electionTicks / 2 * n.tick) // sooner than it would have been
		}
		n.logger.Warn("leader lost", zap.String("member", name(before)), zap.Uint64("term", n.term.Load()))
		return
	}
	n.logger.Info("leader found", zap.String("member", name(s.Lead)), zap.Uint64("term", n.term.Load()), zap.Bool("self", n.leads))
	n.found = true
	n.heir.heard(time.Now())
	n.lost.Store(false)
	n.pressure.applied.broadcast()
}

// name is how a member is written.
func name(id uint64) string { return fmt.Sprintf("%016x", id) }

// save makes a Ready durable, the snapshot first. A full disk is waited for,
// reads going on. It returns the snapshot that is to be installed.
func (n *Node) save(rd raft.Ready) (install *store.Received, err error) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		if install, err = n.saveSnapshot(rd.Snapshot); err != nil {
			return nil, err
		}
	}
	return install, n.enough(func() error { return n.log.Save(rd.HardState, rd.Entries) })
}

// enough repeats a write of the log for as long as the disk is full.
func (n *Node) enough(write func() error) error {
	for {
		err := write()
		if _, full := errors.AsType[*raftlog.SpaceError](err); !full {
			if n.readOnly.CompareAndSwap(true, false) {
				n.logger.Info("there is room on the disk again")
			}
			return err
		}
		if n.readOnly.CompareAndSwap(false, true) {
			n.logger.Error("disk full: no writes until there is room", zap.Error(err))
		}
		pause := time.NewTimer(spaceRetry)
		select {
		case <-pause.C:
		case <-n.stop:
			pause.Stop()
			return kv.ErrClosed
		}
	}
}

// handOn gives committed entries to the applier. Raft must hear of a change of
// its members before it goes on (ARC-K09).
func (n *Node) handOn(entries []*raftpb.Entry) error {
	for len(entries) > 0 {
		i := 0
		for i < len(entries) && entries[i].GetType() == raftpb.EntryType_EntryNormal {
			i++
		}
		b := batch{entries: entries[:i]}
		if i < len(entries) {
			if err := n.changed(entries[i], &b); err != nil {
				return err
			}
			i++
		}
		entries = entries[i:]
		if err := n.pass(b); err != nil {
			return err
		}
	}
	return nil
}

// pass gives one batch to the applier.
func (n *Node) pass(b batch) error {
	select {
	case n.applies <- b:
		return nil
	case <-n.stop:
		return kv.ErrClosed
	case <-n.done:
		return kv.ErrClosed
	}
}
