package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/durable"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// Options of a repair. Dir and Drops are required.
type Options struct {
	Dir string
	// LoseAfter accepts that entries behind this one are lost. It must be what
	// Verify says, and is not needed when nothing is lost.
	LoseAfter uint64
	// Alone makes a new cluster of this member and forgets the others.
	Alone bool
	// Gap is added to the revision where clients may have seen more than is left.
	Gap kv.Revision
	// Drops tells which rows go when only one member stays.
	Drops func(stays uint64) func(fsm.Table) func(key []byte) bool
}

// Mended says what a repair has made.
type Mended struct {
	Before   *Report
	Cluster  uint64
	Index    uint64
	Revision kv.Revision
	Aside    string // where the old log is
}

var (
	// ErrWhole reports a directory that needs no repair.
	ErrWhole = errors.New("nothing is damaged")
	// ErrBeyond reports damage that nothing here mends.
	ErrBeyond = errors.New("it cannot be mended")
	// ErrOthers reports a member whose cluster has others, who have what it lost.
	ErrOthers = errors.New("the other members have what this one lost")
)

// LossError reports a loss that the caller has not accepted.
type LossError struct{ Last, Beyond uint64 }

// Error implements error.
func (e *LossError) Error() string {
	what := fmt.Sprintf("what was written after entry %d is lost", e.Last)
	if e.Beyond > e.Last {
		what = fmt.Sprintf("entries %d to %d are lost, and perhaps later ones", e.Last+1, e.Beyond)
	}
	return what
}

// Mend makes a directory one that a server starts on, with everything that is
// within reach.
func Mend(ctx context.Context, o Options) (Mended, error) {
	r, err := Verify(o.Dir)
	if err != nil {
		return Mended{}, err
	}
	out := Mended{Before: r, Cluster: r.Identity.Cluster}
	if err := o.may(r); err != nil {
		return out, err
	}
	if err := Resume(o.Dir); err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	m, hard, err := o.replay(ctx, r.Staged)
	if err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	if m, err = o.renew(r, m, &out); err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	out.Index, out.Revision = m.Index, m.Revision
	if out.Aside, err = o.swapLog(m, hard); err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	return out, nil
}

// may says why a directory is not to be mended this way.
func (o *Options) may(r *Report) error {
	switch {
	case len(r.FileProblems) > 0 || r.State.Index == 0:
		return ErrBeyond
	case !o.Alone && len(r.LogProblems) == 0:
		return ErrWhole
	case !o.Alone && !r.Alone():
		return ErrOthers
	case r.Lost && o.LoseAfter != r.Last:
		return &LossError{Last: r.Last, Beyond: r.Beyond}
	}
	return nil
}

// renew makes the state that of this member alone, if it is to be.
func (o *Options) renew(r *Report, m store.SnapshotMeta, out *Mended) (store.SnapshotMeta, error) {
	renewal := store.Renewal{Member: r.Identity.ID, Drops: func(fsm.Table) func([]byte) bool { return nil }}
	if o.Alone {
		// The id first: with it alone the member waits for others that refuse it.
		id := r.Identity
		id.Cluster, id.Holds = member.Random(), true
		if err := member.Write(o.Dir, id); err != nil {
			return m, err
		}
		out.Cluster, renewal.Drops = id.Cluster, o.Drops(id.ID)
	}
	if o.Alone || r.Lost {
		renewal.AtLeast = m.Revision + o.Gap
	}
	// gofail: var repairBeforeRenew struct{}
	return store.Renew(filepath.Join(o.Dir, store.FileName), renewal)
}

// portion bounds the bytes of entries read at once.
const portion = 8 << 20

// replay installs a snapshot that the log begins behind, if one is staged, and
// brings state.db to the last entry within reach. Changes of members are
// passed over: one member stays.
func (o *Options) replay(ctx context.Context, staged *store.Examined) (m store.SnapshotMeta, hard *raftpb.HardState, err error) {
	s, err := store.Open(store.Options{Dir: o.Dir})
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if staged != nil {
		r, err := s.Staged()
		if err == nil && r != nil {
			err = s.Install(r)
		}
		if err != nil {
			return m, nil, err
		}
	}
	at, _ := s.Applied()
	l, err := raftlog.Inspect(filepath.Join(o.Dir, LogName), at)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for last := l.Last(); at < last; {
		entries, err := l.Entries(at+1, portion)
		if err != nil {
			return m, nil, err
		}
		if err := errors.Join(apply(s, entries), ctx.Err()); err != nil {
			return m, nil, err
		}
		at, _ = s.Applied()
	}
	if err := s.Flush(ctx); err != nil {
		return m, nil, err
	}
	return s.At(), l.HardState(), nil
}

func apply(s *store.Store, entries []*raftpb.Entry) error {
	for _, e := range entries {
		var err error
		if e.GetType() == raftpb.EntryNormal {
			_, err = s.Apply([]store.Committed{{Index: e.GetIndex(), Term: e.GetTerm(), Data: e.GetData()}})
		} else {
			err = s.ApplyConf(e.GetIndex(), e.GetTerm(), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newName is a log that is being made. It is whole once LogName is gone.
const newName = LogName + ".new"

// Resume ends a repair that was cut short between two names. Call it before the
// log is opened.
func Resume(dir string) error {
	if !interrupted(dir) {
		return nil
	}
	if err := os.Rename(filepath.Join(dir, newName), filepath.Join(dir, LogName)); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func interrupted(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, LogName))
	_, made := os.Lstat(filepath.Join(dir, newName))
	return errors.Is(err, os.ErrNotExist) && made == nil
}

// swapLog puts a log that begins behind the state in the place of the old one,
// which it moves aside.
func (o *Options) swapLog(m store.SnapshotMeta, hard *raftpb.HardState) (aside string, err error) {
	made, at := filepath.Join(o.Dir, newName), filepath.Join(o.Dir, LogName)
	if err := os.RemoveAll(made); err != nil {
		return "", err
	}
	if err := raftlog.Begin(made, m.Index, m.Term, hard); err != nil {
		return "", err
	}
	// gofail: var repairBeforeSwap struct{}
	aside = fmt.Sprintf("%s.old-%d", at, time.Now().UnixNano())
	if err := os.Rename(at, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	// gofail: var repairInSwap struct{}
	if err := os.Rename(made, at); err != nil {
		return "", err
	}
	return aside, durable.SyncDir(o.Dir)
}
