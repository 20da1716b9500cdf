package core

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/easynet-cn/batata/core/internal/backup"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/repair"
	"github.com/easynet-cn/batata/core/internal/roster"
)

// DamageError is why a node does not start whose data is damaged. Nothing was
// changed.
type DamageError struct {
	Dir   string
	cause error
}

// Error implements error.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%v; nothing was changed; this tells what is lost and how to go on: batata admin raft verify%s", e.cause, dataDir(e.Dir))
}

// Unwrap returns what is damaged.
func (e *DamageError) Unwrap() error { return e.cause }

// damaged adds what to do to an error that says that data is damaged.
func damaged(dir string, err error) error {
	var corrupt *raftlog.CorruptError
	if errors.As(err, &corrupt) || errors.Is(err, raftnode.ErrMismatch) {
		return &DamageError{Dir: dir, cause: err}
	}
	return err
}

// dataDir is the flag that names a directory, for commands that are printed.
func dataDir(dir string) string {
	if strings.ContainsFunc(dir, func(r rune) bool {
		return !strings.ContainsRune("/._-+:@", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		dir = "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	}
	return " --data-dir " + dir
}

// DataReport is what a data directory is like that no node runs on.
type DataReport struct {
	Dir             string
	Cluster, Member uint64
	Members         []uint64 // of the cluster
	Rows, Bytes     int64    // of state.db
	Revision        uint64
	Entry           uint64 // that state.db is at
	Last            uint64 // last entry within reach
	Digest          string // of all rows: the same on all members whose state.db is at the same entry
	// Problems are what is damaged; none: a node starts on it. Advice says how to
	// go on then.
	Problems []string
	Advice   string
}

// VerifyData reads every byte of a data directory that no node runs on, and
// changes nothing.
func VerifyData(dir string) (DataReport, error) {
	r, err := repair.Verify(dir)
	if err != nil {
		return DataReport{}, err
	}
	return reportOf(r), nil
}

func reportOf(r *repair.Report) DataReport {
	return DataReport{
		Dir: r.Dir, Cluster: r.Identity.Cluster, Member: r.Identity.ID, Members: r.Members,
		Rows: r.State.Rows, Bytes: r.State.Bytes, Revision: uint64(r.State.Revision), Entry: r.State.Index, Last: r.Last, Digest: r.State.Digest,
		Problems: append(append([]string(nil), r.FileProblems...), r.LogProblems...), Advice: advice(r),
	}
}

// advice says how to go on with what is damaged.
func advice(r *repair.Report) string {
	lose := ""
	if r.Lost {
		lose = fmt.Sprintf(" --lose-after %d", r.Last)
	}
	const empty = "the other members of the cluster have what was lost here: move the directory away and start the member with an empty one, " +
		"it takes the place of this one"
	restore := "restore a backup: batata restore FILE, into another directory"
	switch others := len(r.Members) > 1; {
	case r.Whole():
		return ""
	case len(r.FileProblems) > 0 && others:
		return empty + "; if they are lost for ever, " + restore
	case len(r.FileProblems) > 0:
		return restore
	case others:
		return empty + "; if they are lost for ever: batata admin raft force-new-cluster" + dataDir(r.Dir) + " --lose-members" + lose
	case r.Lost:
		loss := repair.LossError{Last: r.Last, Beyond: r.Beyond}
		return loss.Error() + "; restore a backup that is newer, or accept the loss: batata admin raft truncate" + dataDir(r.Dir) + lose
	}
	return "nothing that was acknowledged is lost; the damaged log is put aside by: batata admin raft truncate" + dataDir(r.Dir)
}

// Repaired says what a repair has made.
type Repaired struct {
	Cluster  uint64
	Entry    uint64 // it goes on behind
	Revision uint64
	Aside    string // directory of the old log
}

// TruncateLog mends the data directory of a node that is alone, and that is not
// running, when its log is damaged: state.db gets every entry within reach, and a
// new log begins there. Where acknowledged entries are lost, loseAfter must be the
// last entry that is left, as VerifyData says; the revision then goes on far above
// what clients have seen.
func TruncateLog(ctx context.Context, dir string, loseAfter uint64) (Repaired, error) {
	return mend(ctx, repair.Options{Dir: dir, LoseAfter: loseAfter})
}

// ForceNewCluster makes a cluster of one member out of a member whose cluster has
// lost its majority for ever, and that is not running. What it holds is kept, also
// entries of which nobody can tell any more whether the majority had them. The
// other members must not run on their data again; with empty directories they can
// join. loseAfter is as in TruncateLog.
func ForceNewCluster(ctx context.Context, dir string, loseAfter uint64) (Repaired, error) {
	return mend(ctx, repair.Options{Dir: dir, LoseAfter: loseAfter, Alone: true})
}

func mend(ctx context.Context, o repair.Options) (Repaired, error) {
	o.Gap = backup.Gap
	o.Drops = func(stays uint64) func(fsm.Table) func([]byte) bool { return roster.Drops(ownerCore, stays) }
	m, err := repair.Mend(ctx, o)
	var loss *repair.LossError
	switch {
	case err == nil:
		return Repaired{Cluster: m.Cluster, Entry: m.Index, Revision: uint64(m.Revision), Aside: m.Aside}, nil
	case errors.As(err, &loss):
		err = fmt.Errorf("nothing was changed: %s", advice(m.Before))
	case errors.Is(err, repair.ErrBeyond), errors.Is(err, repair.ErrOthers):
		err = fmt.Errorf("nothing was changed: %w; %s", err, advice(m.Before))
	}
	return Repaired{}, err
}
