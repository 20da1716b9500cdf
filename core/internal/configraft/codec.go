package configraft

import (
	"encoding/binary"
	"errors"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/registry"
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

var errRow = errors.New("malformed config row")

// ItemKey is the key of an item's head, and the prefix of its variants and
// versions.
func ItemKey(dst []byte, k configstore.Key) []byte {
	dst = slices.Grow(dst, len(k.Namespace)+len(k.Group)+len(k.Name)+keyMarks)
	dst = tuple.AppendString(dst, k.Namespace)
	dst = tuple.AppendString(dst, k.Group)
	return tuple.AppendString(dst, k.Name)
}

// keyMarks is the room for what ends the texts of a key, and for a stamp.
const keyMarks = 16

// VariantKey is the key of a variant.
func VariantKey(k configstore.Key, variant string) []byte {
	return tuple.AppendString(ItemKey(nil, k), variant)
}

// VersionKey is the key of a version, and StampVersion says where in it the
// stamp of a new one goes.
func VersionKey(k configstore.Key, v kv.Stamp) (key []byte, stampKey int32) {
	key = ItemKey(nil, k)
	return tuple.AppendUint64(key, uint64(v)), int32(len(key)) + 1
}

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

// writer appends fields; zero values are left out, but not those of a list.
type writer struct{ b []byte }

func newWriter(stamp kv.Stamp, room int) writer {
	b := append(make([]byte, 0, room+rowHeader), rowFormat)
	return writer{binary.BigEndian.AppendUint64(b, uint64(stamp))}
}

func (w *writer) text(n protowire.Number, s string) {
	if s != "" {
		w.b = protowire.AppendString(protowire.AppendTag(w.b, n, protowire.BytesType), s)
	}
}

func (w *writer) texts(n protowire.Number, list []string) {
	for _, s := range list {
		w.b = protowire.AppendString(protowire.AppendTag(w.b, n, protowire.BytesType), s)
	}
}

func (w *writer) bytes(n protowire.Number, b []byte) {
	if len(b) > 0 {
		w.b = protowire.AppendBytes(protowire.AppendTag(w.b, n, protowire.BytesType), b)
	}
}

func (w *writer) number(n protowire.Number, v int64) {
	if v != 0 {
		w.b = protowire.AppendVarint(protowire.AppendTag(w.b, n, protowire.VarintType), uint64(v))
	}
}

func (w *writer) flag(n protowire.Number, v bool) {
	if v {
		w.number(n, 1)
	}
}

// field is one field as read.
type field struct {
	n     protowire.Number
	bytes []byte // shares memory with the row
	num   int64
}

// eachField calls fn for every field of a row or of a message inside one.
func eachField(b []byte, fn func(field) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errRow
		}
		b = b[size:]
		f := field{n: n}
		switch kind {
		case protowire.VarintType:
			v, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return errRow
			}
			f.num, b = int64(v), b[size:]
		case protowire.BytesType:
			v, size := protowire.ConsumeBytes(b)
			if size < 0 {
				return errRow
			}
			f.bytes, b = v, b[size:]
		default:
			return errRow
		}
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// header checks the format and returns the stamp and the fields.
func header(b []byte) (kv.Stamp, []byte, error) {
	if len(b) < rowHeader || b[0] != rowFormat {
		return 0, nil, errRow
	}
	return kv.Stamp(binary.BigEndian.Uint64(b[1:])), b[rowHeader:], nil
}

func appendPair(w *writer, n protowire.Number, key, value string) {
	var in writer
	in.text(1, key)
	in.text(2, value)
	w.b = protowire.AppendBytes(protowire.AppendTag(w.b, n, protowire.BytesType), in.b)
}

func readPair(b []byte) (p registry.Pair, err error) {
	err = eachField(b, func(f field) error {
		switch f.n {
		case 1:
			p.Key = string(f.bytes)
		case 2:
			p.Value = string(f.bytes)
		}
		return nil
	})
	return p, err
}

func readDigest(b []byte) (d configstore.Digest, err error) {
	if len(b) != len(d) {
		return d, errRow
	}
	copy(d[:], b)
	return d, nil
}
