package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
)

// maxProblems bounds what is told of one file.
const maxProblems = 20

// Examined is what there is to say about a state.db that no store has open.
type Examined struct {
	SnapshotMeta
	Tables   []fsm.Table
	Rows     int64
	Bytes    int64    // of the file
	Digest   string   // SHA-256 of all rows: the same on all members at the same entry (FLT-02)
	Problems []string // at most twenty; none: every page and every row is right
}

// Examine reads all of the file at path, without changing it. An error means that
// it cannot be opened at all, *LockedError that a server has it open.
func Examine(path string) (e Examined, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return e, err
	}
	e.Bytes = info.Size()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return e, opened(path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// A file that was cut off behind its pages would end the process with a signal.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > e.Bytes {
			e.problem("the file has %d bytes, its pages need %d", e.Bytes, tx.Size())
			return nil
		}
		for err := range tx.Check() {
			e.problem("%v", err)
		}
		if len(e.Problems) == 0 {
			e.rows(tx)
		}
		return nil
	})
	return e, err
}

func (e *Examined) problem(format string, args ...any) {
	if len(e.Problems) < maxProblems {
		e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
	}
}

// rows wants every row to be one that load takes.
func (e *Examined) rows(tx *bbolt.Tx) {
	defer func() {
		if r := recover(); r != nil {
			e.problem("it cannot be read: %v", r)
		}
	}()
	m, err := readMeta(tx)
	if err != nil {
		e.problem("%v", err)
		return
	}
	if err := checkFormat(tx.Bucket([]byte(metaBucket)).Get([]byte(keyFormat)), "state.db"); err != nil {
		e.problem("%v", err)
		return
	}
	e.SnapshotMeta = m.snapshot()
	sum := sha256.New()
	err = tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		_, table := bucketTable(name)
		return b.ForEach(func(k, v []byte) error {
			if err := checkItem(name, k, v); err != nil {
				e.problem("bucket %x, row %x: %v", name, k, err)
			}
			if string(name) == tablesBucket {
				if t, err := readTable(k, v); err == nil {
					e.Tables = append(e.Tables, t)
				}
			}
			if table {
				e.Rows++
				sum.Write(appendField(appendField(appendField(nil, name), k), v))
			}
			return nil
		})
	})
	if err != nil {
		e.problem("%v", err)
	}
	e.Digest = hex.EncodeToString(sum.Sum(nil))
}
