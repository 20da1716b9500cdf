package repair

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
)

// LogName is the directory of the log in a data directory.
const LogName = "log"

// Report is what a data directory is like.
type Report struct {
	Dir      string
	Identity member.Identity // ID 0: none can be read
	State    store.Examined
	Staged   *store.Examined // a snapshot that the next start makes the state; nil: none
	// Members have a vote or learn.
	Members []uint64
	// Last is the last entry within reach, in the log or in state.db.
	Last uint64
	// Lost says that acknowledged entries behind Last may be out of reach; Beyond
	// is the last of them that is seen, 0: none is.
	Lost   bool
	Beyond uint64

	LogProblems  []string
	FileProblems []string // of state.db and member.json: nothing here mends them
}

// Whole says whether a server would start on the directory.
func (r *Report) Whole() bool { return len(r.LogProblems)+len(r.FileProblems) == 0 }

// Alone says whether the member is the only one of its cluster.
func (r *Report) Alone() bool { return len(r.Members) == 1 && r.Members[0] == r.Identity.ID }

// Verify reads every byte of a data directory that no server runs on.
func Verify(dir string) (*Report, error) {
	r := &Report{Dir: dir}
	s, err := r.read()
	if s != nil {
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return r, nil
}

// read fills the report and returns the log, if state.db says where it goes on.
func (r *Report) read() (*raftlog.Survey, error) {
	var err error
	r.Identity, err = member.Read(r.Dir)
	if err != nil {
		r.FileProblems = append(r.FileProblems, err.Error())
	}
	none := errors.Is(err, fs.ErrNotExist)
	r.State, err = store.Examine(filepath.Join(r.Dir, store.FileName))
	var locked *store.LockedError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("a server runs on %s: stop it first: %w", r.Dir, err)
	case errors.Is(err, fs.ErrNotExist) && none:
		return nil, fmt.Errorf("%s is no data directory: it has neither %s nor %s", r.Dir, store.FileName, member.FileName)
	case err != nil:
		r.FileProblems = append(r.FileProblems, err.Error())
		return nil, nil
	}
	for _, p := range r.State.Problems {
		r.FileProblems = append(r.FileProblems, store.FileName+": "+p)
	}
	conf := r.State.ConfState
	r.Members = slices.Concat(conf.GetVoters(), conf.GetLearners(), conf.GetVotersOutgoing(), conf.GetLearnersNext())
	slices.Sort(r.Members)
	r.Members = slices.Compact(r.Members)
	if len(r.State.Problems) > 0 {
		return nil, nil
	}
	return r.log()
}

func (r *Report) log() (*raftlog.Survey, error) {
	applied, path := r.State.Index, filepath.Join(r.Dir, LogName)
	if interrupted(r.Dir) {
		path = filepath.Join(r.Dir, newName)
	}
	s, err := raftlog.Inspect(path, applied)
	if err == nil && s.Mark() > applied {
		if e, bad := store.Examine(filepath.Join(r.Dir, store.ReceivedName)); bad == nil && len(e.Problems) == 0 && e.Index == s.Mark() {
			r.Staged = &e
			if err = s.Close(); err == nil {
				s, err = raftlog.Inspect(path, e.Index)
			}
		}
	}
	var newer *raftlog.FormatError
	switch {
	case errors.As(err, &newer):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("log: %w", err)
	}
	r.Last, r.Lost, r.Beyond = s.Last(), s.Lost, s.Beyond
	for _, d := range s.Damage {
		r.LogProblems = append(r.LogProblems, d.Error())
	}
	return s, nil
}
