package configraft

import (
	"encoding/binary"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

// Rows begin with a format byte and eight bytes for a stamp; fields in the wire
// format of protobuf follow, so that a later build can add some.
const (
	rowFormat = 1
	rowHeader = 9
	// StampAt is the kv.Op.StampValue of a head or a variant whose version is
	// written by the same transaction.
	StampAt = 2
)

var errRow = fields.ErrMalformed

// ItemKey appends the key of an item's head, which is the prefix of its variants
// and versions.
func ItemKey(dst []byte, k configstore.Key) []byte {
	dst = slices.Grow(dst, len(k.Namespace)+len(k.Group)+len(k.Name)+keyMarks)
	dst = tuple.AppendString(dst, k.Namespace)
	dst = tuple.AppendString(dst, k.Group)
	return tuple.AppendString(dst, k.Name)
}

// keyMarks is the room for what ends the texts of a key, and for a stamp.
const keyMarks = 16

// VariantKey appends the key of a variant.
func VariantKey(dst []byte, k configstore.Key, variant string) []byte {
	return tuple.AppendString(ItemKey(dst, k), variant)
}

// VersionKey appends the key of a version. Its last StampSize bytes are the stamp.
func VersionKey(dst []byte, k configstore.Key, v kv.Stamp) []byte {
	return tuple.AppendUint64(ItemKey(dst, k), uint64(v))
}

// StampSize is the bytes of a stamp in a key.
const StampSize = 8

// parseKey takes a key apart and returns what follows the item.
func parseKey(b []byte) (k configstore.Key, rest []byte, err error) {
	if k.Namespace, b, err = tuple.String(b); err != nil {
		return k, nil, err
	}
	if k.Group, b, err = tuple.String(b); err != nil {
		return k, nil, err
	}
	k.Name, rest, err = tuple.String(b)
	return k, rest, err
}

// beginRow appends the begin of a row with its stamp, and makes room for the rest.
func beginRow(dst []byte, stamp kv.Stamp, room int) fields.Writer {
	dst = append(slices.Grow(dst, room+rowHeader), rowFormat)
	return fields.Writer{B: binary.BigEndian.AppendUint64(dst, uint64(stamp))}
}

// header checks the format and returns the stamp and the fields.
func header(b []byte) (kv.Stamp, []byte, error) {
	if len(b) < rowHeader || b[0] != rowFormat {
		return 0, nil, errRow
	}
	return kv.Stamp(binary.BigEndian.Uint64(b[1:])), b[rowHeader:], nil
}

func readDigest(b []byte) (d configstore.Digest, err error) {
	if len(b) != len(d) {
		return d, errRow
	}
	copy(d[:], b)
	return d, nil
}
