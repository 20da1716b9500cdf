package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// ErrBusy reports a snapshot that is not taken now; it may come again later.
var ErrBusy = errors.New("another snapshot is being taken")

// OpenSnapshot pins the state for sending. It knows every change of members that
// raft has made, so that a new member finds itself in it. Close it soon.
func (n *Node) OpenSnapshot(ctx context.Context) (*store.Snapshot, error) {
	if err := n.waitApplied(ctx, n.confAt.Load()); err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return n.store.OpenSnapshot(ctx)
}

// OpenBackup pins the state for an operator: everything that was acknowledged
// before the call, on whichever member, is in it. Without a quorum it fails.
func (n *Node) OpenBackup(ctx context.Context) (*store.Snapshot, error) {
	if _, err := n.Barrier(ctx, kv.Linearizable); err != nil {
		return nil, fmt.Errorf("open backup: %w", err)
	}
	return n.store.OpenBackup(ctx)
}

// SnapshotMessage is the message that announces an opened snapshot: m, with what
// the state really holds.
func SnapshotMessage(m *raftpb.Message, meta store.SnapshotMeta) *raftpb.Message {
	out := proto.CloneOf(m)
	out.Snapshot = metadata(meta)
	return out
}

// SnapshotSent tells whether a member has taken the snapshot that a MsgSnap was
// for. Without it, raft would wait for ever.
func (n *Node) SnapshotSent(to uint64, err error) {
	status := raft.SnapshotFinish
	if err != nil {
		status = raft.SnapshotFailure
		n.logger.Warn("snapshot not sent", zap.String("member", name(to)), zap.Error(err))
	}
	n.run1(func() { n.raft.ReportSnapshot(to, status) })
}

// ReceiveSnapshot reads the state that m announces and hands both to raft. When
// it returns without an error, what raft has taken survives a crash. One is
// taken at a time, others are ErrBusy.
func (n *Node) ReceiveSnapshot(ctx context.Context, m *raftpb.Message, r io.Reader) error {
	if !n.installs.CompareAndSwap(false, true) {
		return ErrBusy
	}
	rec, err := n.receiveSnapshot(ctx, m, r)
	if err != nil {
		n.installs.Store(false)
		return fmt.Errorf("receive snapshot: %w", err)
	}
	done := make(chan struct{})
	if err := n.hand(ctx, n.inbox, inbound{m: m, received: rec, done: done}); err != nil {
		n.installs.Store(false)
		return errors.Join(err, rec.Discard())
	}
	select {
	case <-done:
		return nil
	case <-n.done:
		return fmt.Errorf("receive snapshot: %w", n.Err())
	case <-n.stop:
		return kv.ErrClosed
	}
}

func (n *Node) receiveSnapshot(ctx context.Context, m *raftpb.Message, r io.Reader) (*store.Received, error) {
	meta := m.GetSnapshot().GetMetadata()
	if applied, _ := n.store.Applied(); meta.GetIndex() <= applied {
		return nil, fmt.Errorf("entry %d, this member is at %d: %w", meta.GetIndex(), applied, store.ErrOldSnapshot)
	}
	rec, err := n.store.Receive(ctx, r)
	if err != nil {
		return nil, err
	}
	got := rec.Meta()
	if got.Index != meta.GetIndex() || got.Term != meta.GetTerm() || !proto.Equal(got.ConfState, meta.GetConfState()) {
		return nil, errors.Join(fmt.Errorf("it holds entry %d of term %d, %d of %d was announced",
			got.Index, got.Term, meta.GetIndex(), meta.GetTerm()), rec.Discard())
	}
	return rec, nil
}

// saveSnapshot makes the log begin behind a snapshot that raft has taken. The
// file is durable already; if the power fails from here on, the next start
// installs it (see installStaged).
func (n *Node) saveSnapshot(s *raftpb.Snapshot) (*store.Received, error) {
	rec := n.received
	index, term := s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm()
	if rec == nil || rec.Meta().Index != index {
		return nil, fmt.Errorf("snapshot of entry %d: raft took it, and its state is not here", index)
	}
	// gofail: var raftnodeBeforeReset struct{}
	if err := n.enough(func() error { return n.log.Reset(index, term) }); err != nil {
		return nil, err
	}
	// gofail: var raftnodeAfterReset struct{}
	n.received = nil
	n.setConf(s.GetMetadata().GetConfState(), index)
	return rec, nil
}

// discardUntaken drops a snapshot that raft did not need after all, and tells
// who brought one that raft has seen it.
func (n *Node) discardUntaken() {
	if n.received != nil {
		if err := n.received.Discard(); err != nil {
			n.logger.Warn("snapshot not removed", zap.Error(err))
		}
		n.received = nil
		n.installs.Store(false)
	}
	for _, done := range n.untold {
		close(done)
	}
	n.untold = nil
}

// install makes a snapshot the state; the applier calls it.
func (n *Node) install(rec *store.Received) error {
	defer n.installs.Store(false)
	m := rec.Meta()
	// gofail: var raftnodeBeforeInstall struct{}
	if err := n.store.Install(rec); err != nil {
		return err
	}
	n.meters.installed.Inc()
	n.logger.Info("snapshot installed", zap.Uint64("index", m.Index), zap.Uint64("revision", uint64(m.Revision)))
	// What was on its way may be among what the snapshot holds.
	n.waiters.failTerms(m.Term+1, fmt.Errorf("propose: %w", kv.ErrUncertain))
	n.appliedTerm = max(n.appliedTerm, m.Term)
	n.pressure.applied.broadcast()
	return nil
}
