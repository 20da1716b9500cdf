package raftnode

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
)

// storage is the log as raft reads it.
type storage struct {
	*raftlog.Log
	store   *store.Store
	conf    *raftpb.ConfState // at applied
	applied uint64
}

var _ raft.Storage = (*storage)(nil)

// InitialState implements raft.Storage. A commit index alone is not synced, so
// what the store has applied may be ahead of it.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hs := s.HardState()
	if hs == nil {
		hs = &raftpb.HardState{}
	}
	if commit := max(hs.GetCommit(), s.applied); commit > 0 {
		hs.Commit = &commit
		term := max(hs.GetTerm(), 1)
		hs.Term = &term
	}
	return hs, s.conf, nil
}

// Snapshot implements raft.Storage: what a snapshot would hold at least. The
// state itself is read by whoever sends it, see Node.OpenSnapshot.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) {
	return metadata(s.store.At()), nil
}

// metadata is a snapshot without its state.
func metadata(m store.SnapshotMeta) *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: &m.Index, Term: &m.Term, ConfState: m.ConfState,
	}}
}

// ErrMismatch reports a log that does not go on from state.db: one of them is from
// another time, or damaged (FLT-03).
var ErrMismatch = errors.New("the log and state.db do not belong together")

// joined says how far the state has come, and wants the log to go on from there.
func joined(l *raftlog.Log, s *store.Store) (applied uint64, err error) {
	applied, _ = s.Applied()
	last, err := l.LastIndex()
	if err != nil {
		return 0, err
	}
	first, err := l.FirstIndex()
	if err != nil {
		return 0, err
	}
	switch {
	case applied > last:
		return 0, fmt.Errorf("%w: state.db is at entry %d, but the log ends at %d", ErrMismatch, applied, last)
	case applied+1 < first:
		return 0, fmt.Errorf("%w: state.db is at entry %d, but the log begins at %d", ErrMismatch, applied, first)
	}
	return applied, nil
}

// installStaged ends what a stop interrupted: a snapshot that was received and
// that the log begins behind, but that is not the state yet (REL-11). Any other
// is dropped; the leader sends it again if it is needed.
func installStaged(l *raftlog.Log, s *store.Store) error {
	staged, err := s.Staged()
	if err != nil || staged == nil {
		return err
	}
	m := staged.Meta()
	if term, err := l.Term(m.Index); err != nil || term != m.Term {
		return staged.Discard() // raft has not taken it
	}
	return s.Install(staged)
}
