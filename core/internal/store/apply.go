package store

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/fsm"
)

// Apply applies entries in order and returns one Outcome per command. Entries
// at or below the applied index are skipped. An error is final: the outcomes
// returned beside it are applied, the rest is not.
//
// When it returns, the root holds the changes, and observers and watchers have
// been told. The outcomes are valid until the next call.
func (s *Store) Apply(entries []Committed) ([]fsm.Outcome, error) {
	if err := s.failed(); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	outcomes, revs, err := s.applyAll(entries)
	s.tell(revs)
	if err != nil {
		s.fail(err)
		return outcomes, fmt.Errorf("apply: %w", err)
	}
	return outcomes, nil
}

// applyAll changes the live state and publishes it once.
func (s *Store) applyAll(entries []Committed) (outcomes []fsm.Outcome, revs []revision, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.machine.Forget()
	clear(s.live.revs)
	s.live.revs = s.live.revs[:0]
	clear(s.live.outcomes)
	outcomes = s.live.outcomes[:0]
	for i := range entries {
		e := &entries[i]
		if e.Index <= s.live.at.index {
			continue
		}
		if outcomes, err = s.applyEntry(e, outcomes); err != nil {
			break
		}
		s.live.at.index, s.live.at.term = e.Index, e.Term
		s.sealIfLarge()
	}
	s.live.outcomes = outcomes
	s.publish()
	wake(s.dirty)
	return outcomes, s.live.revs, err
}

func (s *Store) applyEntry(e *Committed, outcomes []fsm.Outcome) ([]fsm.Outcome, error) {
	if len(e.Data) == 0 {
		return outcomes, nil
	}
	d := &s.live.decoder
	if err := d.Reset(e.Data); err != nil {
		if errors.Is(err, fsm.ErrFormat) {
			return outcomes, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		return append(outcomes, fsm.Outcome{Err: err}), nil
	}
	for d.More() {
		c, err := d.Next()
		if err != nil {
			outcomes = append(outcomes, fsm.Outcome{ID: c.ID, Err: err})
			continue
		}
		out, err := s.live.machine.Apply(&c)
		if err != nil {
			return outcomes, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		outcomes = append(outcomes, out)
		s.note()
	}
	return outcomes, nil
}

// note takes over what the last command changed.
func (s *Store) note() {
	m, b := s.live.machine, s.live.active
	b.tables = append(b.tables, m.Declared()...)
	changes := m.Changes()
	if rev := m.Revision(); rev != s.live.at.revision {
		s.live.at.revision = rev
		s.live.revs = append(s.live.revs, revision{rev: rev, changes: changes})
	}
	var bytes int64
	for i := range changes {
		bytes += b.add(&changes[i])
	}
	s.lagBytes.Add(bytes)
	s.lagOps.Add(int64(len(changes)))
}

// tell informs those who follow the rows, after they can be read (CTR-B06).
func (s *Store) tell(revs []revision) {
	if len(revs) == 0 {
		return
	}
	for _, r := range revs {
		for _, o := range s.observers {
			o.Applied(r.rev, r.changes)
		}
	}
	s.hub.publish(revs)
	s.seen.raise(uint64(revs[len(revs)-1].rev))
}

// ApplyConf records the configuration after the change at index; a nil cs
// records the index only.
func (s *Store) ApplyConf(index, term uint64, cs *raftpb.ConfState) error {
	if err := s.failed(); err != nil {
		return fmt.Errorf("apply configuration: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if index <= s.live.at.index {
		return nil
	}
	s.live.at.index, s.live.at.term = index, term
	if cs != nil {
		s.live.at.conf = proto.CloneOf(cs)
	}
	s.publish()
	wake(s.dirty)
	return nil
}
