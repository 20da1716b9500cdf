package core

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/internal/backup"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/kv"
)

// logDir is the directory of the write-ahead log in a data directory.
const logDir = "log"

// backupOpens bounds the wait for a quorum, for the disk, and for another backup.
const backupOpens = 20 * time.Second

// Backup implements cluster.Admin.
func (a clusterAdmin) Backup(ctx context.Context) (cluster.Chunks, error) {
	n := a.node
	opening, cancel := context.WithTimeout(ctx, backupOpens)
	defer cancel()
	s, err := n.raft.OpenBackup(opening)
	if err != nil {
		return nil, err
	}
	id := n.identity.Identity()
	b, err := backup.New(s, backup.Header{
		Cluster: id.Cluster, Member: id.ID, Taken: time.Now().UTC(), Version: n.config.Peer.Version,
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return b, nil
}

// BackupInfo says what a backup holds: the state of a cluster after one entry of
// its log.
type BackupInfo struct {
	Cluster, Member uint64 // whose state it is, and who gave it
	Index           uint64 // of the last entry
	Revision        uint64
	Taken           time.Time
	Version         string // of the server
}

func infoOf(h backup.Header) BackupInfo {
	return BackupInfo{Cluster: h.Cluster, Member: h.Member, Index: h.Index, Revision: h.Revision, Taken: h.Taken, Version: h.Version}
}

// CheckBackup reads a backup to its end and fails unless every byte is as it was
// written.
func CheckBackup(r io.Reader) (BackupInfo, error) {
	h, err := backup.Check(r)
	return infoOf(h), err
}

// Restored says what Restore has made.
type Restored struct {
	From            BackupInfo
	Cluster, Member uint64 // of the new cluster, and its first member
	Revision        uint64 // it goes on from
}

// Restore makes a directory without data that of the first member of a new
// cluster, with what the backup r holds; no node runs on it. Other members then
// join it with directories that are empty. The revision goes on far above that of
// the backup, or from atLeast if that is more, so that no client of the old
// cluster has seen a higher one. On an error the directory holds no more than
// before; one that holds data is refused.
func Restore(ctx context.Context, dir string, r io.Reader, atLeast uint64) (Restored, error) {
	out, err := backup.Restore(ctx, r, restoreOptions(dir, atLeast))
	if err != nil {
		return Restored{}, err
	}
	return Restored{From: infoOf(out.From), Cluster: out.Cluster, Member: out.Member, Revision: uint64(out.Revision)}, nil
}

func restoreOptions(dir string, atLeast uint64) backup.Options {
	return backup.Options{Dir: dir, AtLeast: kv.Revision(atLeast), Drops: roster.Drops(ownerCore), LogDir: logDir}
}
