package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"go.etcd.io/bbolt"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// A row on disk is keyed by the caller's key in the bucket of its table. Its
// value is four uvarints (created, modified-created, version, lease) and the
// bytes of the row.

// maxRowHead bounds the bytes in front of a row's value.
const maxRowHead = 3*binary.MaxVarintLen64 + binary.MaxVarintLen32

var errRow = errors.New("malformed row")

func bucketName(id fsm.TableID) []byte { return binary.BigEndian.AppendUint16([]byte{'t'}, uint16(id)) }

// bucketTable is the way back from bucketName.
func bucketTable(name []byte) (fsm.TableID, bool) {
	if len(name) != 3 || name[0] != 't' {
		return 0, false
	}
	return fsm.TableID(binary.BigEndian.Uint16(name[1:])), true
}

func appendRow(dst []byte, r *kv.Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.Created))
	dst = binary.AppendUvarint(dst, uint64(r.Modified-r.Created))
	dst = binary.AppendUvarint(dst, uint64(r.Version))
	dst = binary.AppendUvarint(dst, uint64(r.Lease))
	return append(dst, r.Value...)
}

// parseRow returns a record whose Value still belongs to b and that has no key.
func parseRow(b []byte) (kv.Record, error) {
	var head [4]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return kv.Record{}, errRow
		}
		head[i], b = v, b[n:]
	}
	if head[2] > math.MaxUint32 || len(b) > kv.MaxValue {
		return kv.Record{}, errRow
	}
	return kv.Record{
		Created: kv.Revision(head[0]), Modified: kv.Revision(head[0] + head[1]),
		Version: uint32(head[2]), Lease: kv.LeaseID(head[3]), Value: b,
	}, nil
}

// readRow copies a row out of a transaction. The absolute key it returns shares
// memory with the record.
func readRow(id fsm.TableID, key, value []byte) (string, *kv.Record, error) {
	r, err := parseRow(value)
	if err != nil || len(key) == 0 || len(key) > kv.MaxKey {
		return "", nil, fmt.Errorf("table %d: %w", id, errRow)
	}
	at := fsm.KeyOffset(id)
	n := at + len(key)
	buf := fsm.AppendKey(make([]byte, 0, n+len(r.Value)), id, key)
	buf = append(buf, r.Value...)
	r.Key, r.Value = buf[at:n:n], buf[n:]
	return view(buf[:n]), &r, nil
}

func appendTable(dst []byte, t *fsm.Table) []byte {
	dst = append(dst, byte(t.Residency), byte(len(t.Owner)))
	return append(append(dst, t.Owner...), t.Name...)
}

func readTable(key, value []byte) (fsm.Table, error) {
	if len(key) != 2 || len(value) < 2 || len(value) < 2+int(value[1]) {
		return fsm.Table{}, errors.New("malformed table row")
	}
	n := 2 + int(value[1])
	t := fsm.Table{
		ID:        fsm.TableID(binary.BigEndian.Uint16(key)),
		Owner:     string(value[2:n]),
		Name:      string(value[n:]),
		Residency: kv.Residency(value[0]),
	}
	if t.ID < fsm.FirstTable || t.ID >= fsm.MaxTables || t.Residency != kv.Hot && t.Residency != kv.Cold {
		return fsm.Table{}, errors.New("malformed table row")
	}
	return t, nil
}

// load fills an empty machine with what state.db holds.
func load(tx *bbolt.Tx, m *fsm.Machine) (meta, error) {
	md, err := readMeta(tx)
	if err != nil {
		return meta{}, err
	}
	m.LoadRevision(md.revision, md.changed)
	hot := []fsm.TableID{fsm.LeaseTable}
	if b := tx.Bucket([]byte(tablesBucket)); b != nil {
		err := b.ForEach(func(k, v []byte) error {
			t, err := readTable(k, v)
			if err != nil {
				return err
			}
			m.LoadTables(t)
			if t.Residency == kv.Hot {
				hot = append(hot, t.ID)
			}
			return nil
		})
		if err != nil {
			return meta{}, err
		}
	}
	for _, id := range hot {
		if err := loadTable(tx, m, id); err != nil {
			return meta{}, err
		}
	}
	return md, nil
}

func loadTable(tx *bbolt.Tx, m *fsm.Machine, id fsm.TableID) error {
	b := tx.Bucket(bucketName(id))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		abs, r, err := readRow(id, k, v)
		if err != nil {
			return err
		}
		if id == fsm.LeaseTable && (len(r.Key) != 8 || len(r.Value) != 8) {
			return fmt.Errorf("lease: %w", errRow)
		}
		m.LoadRow(abs, r)
		return nil
	})
}
