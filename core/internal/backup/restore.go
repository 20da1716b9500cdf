package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/easynet-cn/batata/core/internal/durable"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// The directories in which a restore works, inside the data directory.
const (
	building = "restore.building." // and a number: may hold anything
	complete = "restore.complete"  // holds everything, durable, to be moved into place
)

// Gap is what lies between the revision of a backup and that of what is restored
// from it: more than an old cluster has written since.
const Gap kv.Revision = 1 << 32

// leastIndex is what every state has applied that was ever served.
const leastIndex = 2

// Options of a restore. Dir and Drops are required.
type Options struct {
	Dir     string      // data directory without data; created when absent
	AtLeast kv.Revision // revision to go on from, when it is above that of the gap
	Drops   func(fsm.Table) func(key []byte) bool
	LogDir  string // name of the log in Dir
}

// Restored says what came of a restore.
type Restored struct {
	From     Header
	Cluster  uint64 // the new one
	Member   uint64 // the first of it
	Revision kv.Revision
}

// DataError reports a data directory that is in use.
type DataError struct{ Dir, File string }

// Error implements error.
func (e *DataError) Error() string {
	return fmt.Sprintf("%s holds data already (%s): nothing was changed; restore into an empty directory, or move this one away first: mv %s %s.old",
		e.Dir, e.File, e.Dir, e.Dir)
}

// UnfinishedError reports a directory in which a restore was cut short.
type UnfinishedError struct{ Dir string }

// Error implements error.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("a restore into %s is under way, or was cut short: wait for it, or run it again: batata restore --data-dir %s FILE", e.Dir, e.Dir)
}

// Restore makes a directory without data that of the first member of a new
// cluster, which holds what the backup r does. On an error the directory holds no
// more than before.
func Restore(ctx context.Context, r io.Reader, o Options) (out Restored, err error) {
	o.LogDir = cmp.Or(o.LogDir, "log")
	out.From, err = ReadHeader(r) // before anything is touched
	if err != nil {
		return out, fmt.Errorf("restore: %w", err)
	}
	if err := o.clear(); err != nil {
		return out, fmt.Errorf("restore: %w", err)
	}
	work, err := os.MkdirTemp(o.Dir, building) // its own, whoever else restores here
	if err != nil {
		return out, fmt.Errorf("restore: %w", err)
	}
	if err := o.build(ctx, r, work, &out); err != nil {
		return out, errors.Join(fmt.Errorf("restore: %w", err), os.RemoveAll(work))
	}
	// gofail: var backupBeforeComplete struct{}
	err = os.Rename(work, filepath.Join(o.Dir, complete))
	if err == nil {
		err = durable.SyncDir(o.Dir)
	}
	// gofail: var backupAfterComplete struct{}
	if err == nil {
		err = o.place()
	}
	if err != nil {
		return out, fmt.Errorf("restore: %w", err)
	}
	return out, nil
}

// Resume ends a restore that a crash has cut short behind its last check, and
// refuses a directory in which it was before.
func Resume(o Options) error {
	o.LogDir = cmp.Or(o.LogDir, "log")
	if exists(filepath.Join(o.Dir, complete)) {
		return o.place()
	}
	left, err := o.cut()
	if err == nil && len(left) > 0 {
		err = &UnfinishedError{Dir: o.Dir}
	}
	return err
}

// cut lists what restores have left that did not come to their end.
func (o *Options) cut() (paths []string, err error) {
	entries, err := os.ReadDir(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), building) {
			paths = append(paths, filepath.Join(o.Dir, e.Name()))
		}
	}
	return paths, err
}

// clear wants a directory without data, and removes what a cut restore has left.
func (o *Options) clear() error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	if exists(filepath.Join(o.Dir, complete)) {
		return &DataError{Dir: o.Dir, File: "a restore that is complete: start the server"}
	}
	for _, name := range o.files() {
		if exists(filepath.Join(o.Dir, name)) {
			return &DataError{Dir: o.Dir, File: name}
		}
	}
	left, err := o.cut()
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// files are what a member consists of, in the order in which they are placed: a
// start takes the last one first.
func (o *Options) files() []string { return []string{o.LogDir, member.FileName, store.FileName} }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// build makes a member in an empty directory. What it has made is durable when
// it returns.
func (o *Options) build(ctx context.Context, r io.Reader, dir string, out *Restored) error {
	path := filepath.Join(dir, store.FileName)
	m, err := store.ReceiveFile(ctx, r, path)
	if err != nil {
		return err
	}
	h := &out.From
	if m.Index != h.Index || m.Term != h.Term || uint64(m.Revision) != h.Revision {
		return fmt.Errorf("%w: the header says entry %d, revision %d, the rows entry %d, revision %d",
			ErrDamaged, h.Index, h.Revision, m.Index, m.Revision)
	}
	if m.Index < leastIndex {
		return fmt.Errorf("%w: it holds no state", ErrDamaged)
	}
	if err := ended(r); err != nil {
		return err
	}
	// gofail: var backupAfterReceive struct{}
	id := member.Identity{ID: member.Random(), Cluster: member.Random(), Holds: true}
	m, err = store.Renew(path, store.Renewal{Member: id.ID, AtLeast: max(m.Revision+Gap, o.AtLeast), Drops: o.Drops})
	if err != nil {
		return err
	}
	out.Cluster, out.Member, out.Revision = id.Cluster, id.ID, m.Revision
	if err := raftlog.Begin(filepath.Join(dir, o.LogDir), m.Index, m.Term, nil); err != nil {
		return err
	}
	if err := member.Write(dir, id); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// place moves a complete member to where a start finds it. It may be repeated.
func (o *Options) place() error {
	from := filepath.Join(o.Dir, complete)
	for _, name := range o.files() {
		source, target := filepath.Join(from, name), filepath.Join(o.Dir, name)
		if !exists(source) {
			continue // moved before a crash
		}
		if exists(target) {
			return fmt.Errorf("%w; remove either it or %s", &DataError{Dir: o.Dir, File: name}, from)
		}
		if err := os.Rename(source, target); err != nil {
			return err
		}
		// gofail: var backupAfterPlace struct{}
	}
	if err := durable.SyncDir(o.Dir); err != nil {
		return err
	}
	// gofail: var backupBeforeRemove struct{}
	if err := os.RemoveAll(from); err != nil {
		return err
	}
	return durable.SyncDir(o.Dir)
}
