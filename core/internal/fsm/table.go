package fsm

import (
	"encoding/binary"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// TableID names a table in keys. Ids are handed out by the state machine and
// never used again (ARC-S07).
type TableID uint32

const (
	// LeaseTable is the built-in hot table of leases. It cannot be written by
	// ops other than Grant and Revoke; observers see its changes.
	LeaseTable TableID = 1
	// FirstTable is the id of the first declared table.
	FirstTable TableID = 16
	// MaxTables bounds the tables that can ever be declared.
	MaxTables = 1 << 14
	// MaxTableName bounds the bytes of an owner and of a table name.
	MaxTableName = 64
)

// Table describes one declared table.
type Table struct {
	ID        TableID
	Owner     string
	Name      string
	Residency kv.Residency
}

// AppendKey appends the absolute form of a caller's key. Shift stamp offsets by
// the bytes it puts in front, KeyOffset.
func AppendKey(dst []byte, id TableID, key []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(id)), key...)
}

// KeyOffset is the number of bytes an absolute key has before the caller's.
func KeyOffset(id TableID) int { return len(binary.AppendUvarint(nil, uint64(id))) }

// LeaseOf reads a row of LeaseTable.
func LeaseOf(r *kv.Record) (kv.LeaseID, time.Duration) {
	return kv.LeaseID(binary.BigEndian.Uint64(r.Key)),
		time.Duration(binary.BigEndian.Uint64(r.Value)) * time.Millisecond
}
