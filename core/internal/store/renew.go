package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// MaxRevision bounds what a revision is raised to: stamps of the registry stay
// above every revision (BRG-IDX-03).
const MaxRevision kv.Revision = 1 << 46

// CheckSnapshot reads a snapshot to its end and says whether every byte is as it
// was written.
func CheckSnapshot(r io.Reader) error {
	in := newChunkReader(r)
	var format [8]byte
	if _, err := io.ReadFull(in, format[:]); err != nil {
		return cut(err)
	}
	if err := checkFormat(format[:], "snapshot"); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// ReceiveFile reads a snapshot into a new, durable file at path, which no store
// has open. On an error the file is to be removed.
func ReceiveFile(ctx context.Context, r io.Reader, path string) (SnapshotMeta, error) {
	m, err := receive(ctx, r, path)
	if err != nil {
		return SnapshotMeta{}, err
	}
	return m.snapshot(), nil
}

// Renewal makes the state of one cluster that of another one, of one member.
type Renewal struct {
	Member  uint64      // its only voter
	AtLeast kv.Revision // the revision to go on from; a lower one than the present changes nothing
	// Drops returns nil for a table all of whose rows go along, else which of them
	// do not.
	Drops func(t fsm.Table) func(key []byte) bool
}

// Renew changes the file at path, which no store has open, in one transaction.
// Every table counts as changed, so that no index of a client is ahead of it.
func Renew(path string, r Renewal) (m SnapshotMeta, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return SnapshotMeta{}, opened(path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		at, err := readMeta(tx)
		if err != nil {
			return err
		}
		if r.AtLeast > MaxRevision {
			return fmt.Errorf("revision %d is above %d", r.AtLeast, MaxRevision)
		}
		at.revision = max(at.revision, r.AtLeast)
		for i := range at.changed {
			at.changed[i] = at.revision
		}
		at.conf = &raftpb.ConfState{Voters: []uint64{r.Member}}
		m = at.snapshot()
		return errors.Join(dropRows(tx, r.Drops), writeMeta(tx, &at))
	})
	return m, errors.Join(err, db.Close())
}

func dropRows(tx *bbolt.Tx, drops func(fsm.Table) func([]byte) bool) error {
	b := tx.Bucket([]byte(tablesBucket))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		t, err := readTable(k, v)
		if err != nil {
			return err
		}
		drop, rows := drops(t), tx.Bucket(bucketName(t.ID))
		if drop == nil || rows == nil {
			return nil
		}
		var keys [][]byte
		if err := rows.ForEach(func(k, _ []byte) error {
			if drop(k) {
				keys = append(keys, clone(k))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, k := range keys {
			if err := rows.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}
