package raftlog

import (
	"errors"

	"go.etcd.io/raft/v3/raftpb"
)

// Begin makes a log in a new directory, durable, that begins behind an entry. The
// term and the vote of before, when not nil, are kept.
func Begin(dir string, index, term uint64, before *raftpb.HardState) error {
	l, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	hs := &raftpb.HardState{Term: &term, Commit: &index}
	if t := before.GetTerm(); t > term {
		vote := before.GetVote()
		hs.Term, hs.Vote = &t, &vote
	}
	err = l.Reset(index, term)
	if err == nil {
		err = l.Save(hs, nil)
	}
	return errors.Join(err, l.Close())
}
