package fsm

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/easynet-cn/batata/core/kv"
)

// An entry is one format byte, then commands. A command is the uvarint of its
// length, 8 bytes of id, one byte of kind and the body.
const (
	entryFormat = 1

	kindTxn     = 1
	kindDeclare = 2

	idSize = 8
)

// Flags of an encoded op: which fields follow, and the two booleans.
const (
	hasValue = 1 << iota
	hasLease
	hasTTL
	hasAdd
	hasStampKey
	hasStampValue
	hasSeq
	skipEqual
	ifChanged
	knownFlags = 1<<iota - 1
)

// AppendHeader starts an entry: commands follow, encoded by AppendCommand.
func AppendHeader(dst []byte) []byte { return append(dst, entryFormat) }

// AppendCommand appends one command to an entry. The bytes do not depend on
// what is before them, so a proposer may encode first and join later.
func AppendCommand(dst []byte, c *Command) []byte {
	n := bodySize(c)
	dst = slices.Grow(dst, uvarintSize(uint64(n))+n)
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.BigEndian.AppendUint64(dst, c.ID)
	if c.Declare != nil {
		return appendDeclare(append(dst, kindDeclare), c.Declare)
	}
	return appendTxn(append(dst, kindTxn), c.Txn)
}

// Size returns the bytes that AppendCommand appends for c.
func Size(c *Command) int {
	n := bodySize(c)
	return uvarintSize(uint64(n)) + n
}

func appendTxn(dst []byte, t *Txn) []byte {
	for _, n := range [...]int{len(t.Guards), len(t.If), len(t.Then), len(t.Else)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for i := range t.Guards {
		dst = appendCompare(dst, &t.Guards[i])
	}
	for i := range t.If {
		dst = appendCompare(dst, &t.If[i])
	}
	for i := range t.Then {
		dst = appendOp(dst, &t.Then[i])
	}
	for i := range t.Else {
		dst = appendOp(dst, &t.Else[i])
	}
	return dst
}

func appendCompare(dst []byte, c *kv.Compare) []byte {
	dst = appendBytes(append(dst, byte(c.Target), byte(c.Rel)), c.Key)
	if c.Target == kv.Value {
		return appendBytes(dst, c.Bytes)
	}
	return binary.AppendUvarint(dst, c.Num)
}

func appendOp(dst []byte, o *kv.Op) []byte {
	flags := opFlags(o)
	dst = binary.AppendUvarint(append(dst, byte(o.Kind)), flags)
	dst = appendBytes(dst, o.Key)
	if flags&hasValue != 0 {
		dst = appendBytes(dst, o.Value)
	}
	if flags&hasLease != 0 {
		dst = binary.AppendUvarint(dst, uint64(o.Lease))
	}
	if flags&hasTTL != 0 {
		dst = binary.AppendUvarint(dst, uint64(millis(o.TTL)))
	}
	if flags&hasAdd != 0 {
		dst = binary.AppendVarint(dst, o.Delta)
		dst = binary.AppendVarint(dst, o.Min)
		dst = binary.AppendVarint(dst, o.Max)
	}
	if flags&hasStampKey != 0 {
		dst = binary.AppendUvarint(dst, uint64(o.StampKey))
	}
	if flags&hasStampValue != 0 {
		dst = binary.AppendUvarint(dst, uint64(o.StampValue))
	}
	if flags&hasSeq != 0 {
		dst = binary.AppendUvarint(dst, uint64(o.Seq))
	}
	return dst
}

func opFlags(o *kv.Op) uint64 {
	return flag(len(o.Value) > 0, hasValue) | flag(o.Lease != 0, hasLease) | flag(o.TTL > 0, hasTTL) |
		flag(o.Delta|o.Min|o.Max != 0, hasAdd) | flag(o.StampKey > 0, hasStampKey) |
		flag(o.StampValue > 0, hasStampValue) | flag(o.Seq != 0, hasSeq) |
		flag(o.SkipEqual, skipEqual) | flag(o.IfChanged, ifChanged)
}

func flag(set bool, bit uint64) uint64 {
	if set {
		return bit
	}
	return 0
}

func appendDeclare(dst []byte, d *Declare) []byte {
	dst = appendBytes(dst, []byte(d.Owner))
	dst = binary.AppendUvarint(dst, uint64(len(d.Tables)))
	for _, t := range d.Tables {
		dst = append(appendBytes(dst, []byte(t.Name)), byte(t.Residency))
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// bodySize is what AppendCommand writes after the length.
func bodySize(c *Command) int {
	n := idSize + 1
	if d := c.Declare; d != nil {
		n += bytesSize(len(d.Owner)) + uvarintSize(uint64(len(d.Tables)))
		for _, t := range d.Tables {
			n += bytesSize(len(t.Name)) + 1
		}
		return n
	}
	t := c.Txn
	for _, l := range [...]int{len(t.Guards), len(t.If), len(t.Then), len(t.Else)} {
		n += uvarintSize(uint64(l))
	}
	for _, cs := range [...][]kv.Compare{t.Guards, t.If} {
		for i := range cs {
			n += compareSize(&cs[i])
		}
	}
	for _, ops := range [...][]kv.Op{t.Then, t.Else} {
		for i := range ops {
			n += opSize(&ops[i])
		}
	}
	return n
}

func compareSize(c *kv.Compare) int {
	n := 2 + bytesSize(len(c.Key))
	if c.Target == kv.Value {
		return n + bytesSize(len(c.Bytes))
	}
	return n + uvarintSize(c.Num)
}

func opSize(o *kv.Op) int {
	flags := opFlags(o)
	n := 1 + uvarintSize(flags) + bytesSize(len(o.Key))
	if flags&hasValue != 0 {
		n += bytesSize(len(o.Value))
	}
	if flags&hasLease != 0 {
		n += uvarintSize(uint64(o.Lease))
	}
	if flags&hasTTL != 0 {
		n += uvarintSize(uint64(millis(o.TTL)))
	}
	if flags&hasAdd != 0 {
		n += varintSize(o.Delta) + varintSize(o.Min) + varintSize(o.Max)
	}
	if flags&hasStampKey != 0 {
		n += uvarintSize(uint64(o.StampKey))
	}
	if flags&hasStampValue != 0 {
		n += uvarintSize(uint64(o.StampValue))
	}
	if flags&hasSeq != 0 {
		n += uvarintSize(uint64(o.Seq))
	}
	return n
}

func bytesSize(n int) int { return uvarintSize(uint64(n)) + n }

func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func varintSize(v int64) int { return uvarintSize(uint64(v)<<1 ^ uint64(v>>63)) }
