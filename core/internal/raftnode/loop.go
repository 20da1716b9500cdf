package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/kv"
)

const (
	// maxEntry is how much is joined into one entry; a larger command stands
	// alone.
	maxEntry = 64 << 10
	// maxRound is how many commands one turn of the loop takes, so that a tick
	// is never far.
	maxRound = queueLength
	// largeCommand is logged.
	largeCommand = 1 << 20
	// maxLinger is how long a round waits for its next command.
	maxLinger = 500 * time.Microsecond
	// spaceRetry is the pause before a full disk is tried again (REL-04).
	spaceRetry = 250 * time.Millisecond
)

// loop owns raft and the log.
func (n *Node) loop() {
	defer close(n.applies)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	n.linger.Stop()
	for {
		if err := n.drain(); err != nil {
			if !errors.Is(err, kv.ErrClosed) {
				n.Fail(err)
			}
			return
		}
		select {
		case <-n.stop:
			return
		case <-n.done:
			return
		case <-ticker.C:
			n.raft.Tick()
			n.housekeeping()
		case p := <-n.queue:
			n.collect(p)
		case b := <-n.reads:
			n.ask(b)
		}
	}
}

// collect proposes p and what else waits, in as few entries as possible. When
// the round before took many, it waits a moment for as many again: writers come
// back together, and one save for all of them is what makes many cheap (ENG-02).
// A writer that is alone never waits.
func (n *Node) collect(p *proposal) {
	n.lingers = false
	round := n.taken[:0]
	for ; p != nil; p = n.following(len(round)) {
		if len(p.data) > largeCommand {
			n.logger.Info("large transaction", zap.Int("bytes", len(p.data)))
		}
		round = append(round, p)
	}
	n.linger.Stop()
	n.expected = len(round)
	for rest := round; len(rest) > 0; {
		rest = n.enter(rest)
	}
	clear(round)
	n.taken = round
}

// following returns the next proposal of a round that has taken so many, nil at
// its end.
func (n *Node) following(taken int) *proposal {
	if taken == maxRound {
		return nil
	}
	select {
	case p := <-n.queue:
		return p
	default:
	}
	if taken >= n.expected-n.expected/4 {
		return nil
	}
	if !n.lingers {
		n.lingers = true
		n.linger.Reset(maxLinger)
	}
	select {
	case p := <-n.queue:
		return p
	case <-n.linger.C:
		return nil
	case <-n.stop:
		return nil
	}
}

// enter proposes one entry of the first commands that fit it, at least one, and
// returns the others.
func (n *Node) enter(round []*proposal) (rest []*proposal) {
	size, count := 1, 0
	for _, p := range round {
		if count > 0 && size+len(p.data) > maxEntry {
			break
		}
		size += len(p.data)
		count++
	}
	round, rest = round[:count], round[count:]
	entry := fsm.AppendHeader(make([]byte, 0, size))
	for _, p := range round {
		entry = append(entry, p.data...)
	}
	n.meters.proposals.Add(float64(len(round)))
	err := n.raft.Propose(entry)
	if err == nil {
		return rest
	}
	if errors.Is(err, raft.ErrProposalDropped) {
		err = kv.ErrNoLeader
		if n.leader.Load() != 0 {
			err = kv.ErrOverloaded // too much is uncommitted
		}
	}
	for _, p := range round {
		n.waiters.fail(p.id, fmt.Errorf("propose: %w", err))
	}
	return rest
}

// drain handles every Ready there is: save, then hand on, then advance.
func (n *Node) drain() error {
	for n.raft.HasReady() {
		rd := n.raft.Ready()
		n.publish(rd)
		// gofail: var raftnodeBeforeSave struct{}
		if err := n.save(rd); err != nil {
			return err
		}
		// gofail: var raftnodeAfterSave struct{}
		n.answerReads(rd.ReadStates)
		if err := n.handOn(rd.CommittedEntries); err != nil {
			return err
		}
		// gofail: var raftnodeBeforeAdvance struct{}
		n.raft.Advance(rd)
	}
	return nil
}

// publish shows the soft state.
func (n *Node) publish(rd raft.Ready) {
	if rd.SoftState != nil {
		n.leader.Store(rd.Lead)
		if rd.Lead != n.id {
			n.ready.Store(false)
		}
	}
	if rd.HardState != nil {
		n.term.Store(rd.GetTerm())
		n.commit.Store(rd.GetCommit())
	}
}

// save makes a Ready durable. A full disk is waited for, reads going on.
func (n *Node) save(rd raft.Ready) error {
	for {
		err := n.log.Save(rd.HardState, rd.Entries)
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
// its configuration before it goes on (ARC-K09).
func (n *Node) handOn(entries []*raftpb.Entry) error {
	for len(entries) > 0 {
		i := 0
		for i < len(entries) && entries[i].GetType() == raftpb.EntryType_EntryNormal {
			i++
		}
		b := batch{entries: entries[:i]}
		if i < len(entries) {
			conf, err := n.changeConf(entries[i])
			if err != nil {
				return err
			}
			b.conf, b.confEntry = conf, entries[i]
			i++
		}
		entries = entries[i:]
		select {
		case n.applies <- b:
		case <-n.stop:
			return kv.ErrClosed
		case <-n.done:
			return kv.ErrClosed
		}
	}
	return nil
}

func (n *Node) changeConf(e *raftpb.Entry) (*raftpb.ConfState, error) {
	var cc raftpb.ConfChangeI
	switch e.GetType() {
	case raftpb.EntryType_EntryConfChange:
		c := new(raftpb.ConfChange)
		if err := proto.Unmarshal(e.GetData(), c); err != nil {
			return nil, fmt.Errorf("decode configuration change: %w", err)
		}
		cc = c
	case raftpb.EntryType_EntryConfChangeV2:
		c := new(raftpb.ConfChangeV2)
		if err := proto.Unmarshal(e.GetData(), c); err != nil {
			return nil, fmt.Errorf("decode configuration change: %w", err)
		}
		cc = c
	case raftpb.EntryType_EntryNormal:
	}
	return n.raft.ApplyConfChange(cc), nil
}

// ask starts a quorum round for b and everyone else who waits for one.
func (n *Node) ask(b *barrier) {
	group := []*barrier{b}
	for more := true; more; {
		select {
		case b := <-n.reads:
			group = append(group, b)
		default:
			more = false
		}
	}
	if n.leader.Load() == 0 {
		for _, b := range group {
			b.done <- fmt.Errorf("read: %w", kv.ErrNoLeader)
		}
		return
	}
	n.askedID++
	n.asked[n.askedID] = group
	n.raft.ReadIndex(binary.BigEndian.AppendUint64(nil, n.askedID))
}

func (n *Node) answerReads(states []raft.ReadState) {
	for _, s := range states {
		id := binary.BigEndian.Uint64(s.RequestCtx)
		for _, b := range n.asked[id] {
			b.index = s.Index
			b.done <- nil
		}
		delete(n.asked, id)
	}
}
