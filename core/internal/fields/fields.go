// Package fields writes and reads the values of rows: fields in the wire format
// of protobuf, so that a later build can add some and an older one skips them.
//
// The package owns no goroutine. Start reading at Writer and Each.
package fields

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed reports bytes that no Writer wrote.
var ErrMalformed = errors.New("malformed row")

// Writer appends fields; zero values are left out, but not those of a list. The
// zero Writer is ready to use.
type Writer struct{ B []byte }

// Text appends a text.
func (w *Writer) Text(n protowire.Number, s string) {
	if s != "" {
		w.B = protowire.AppendString(protowire.AppendTag(w.B, n, protowire.BytesType), s)
	}
}

// Texts appends every text of a list.
func (w *Writer) Texts(n protowire.Number, list []string) {
	for _, s := range list {
		w.B = protowire.AppendString(protowire.AppendTag(w.B, n, protowire.BytesType), s)
	}
}

// Bytes appends bytes.
func (w *Writer) Bytes(n protowire.Number, b []byte) {
	if len(b) > 0 {
		w.B = protowire.AppendBytes(protowire.AppendTag(w.B, n, protowire.BytesType), b)
	}
}

// Number appends a number, which is best small.
func (w *Writer) Number(n protowire.Number, v int64) {
	if v != 0 {
		w.B = protowire.AppendVarint(protowire.AppendTag(w.B, n, protowire.VarintType), uint64(v))
	}
}

// Float appends a float, bit by bit; the zero with a sign is not left out.
func (w *Writer) Float(n protowire.Number, v float64) {
	if bits := math.Float64bits(v); bits != 0 {
		w.B = protowire.AppendFixed64(protowire.AppendTag(w.B, n, protowire.Fixed64Type), bits)
	}
}

// Flag appends a true.
func (w *Writer) Flag(n protowire.Number, v bool) {
	if v {
		w.Number(n, 1)
	}
}

// Message appends what fill writes, empty or not.
func (w *Writer) Message(n protowire.Number, fill func(*Writer)) {
	var in Writer
	fill(&in)
	w.B = protowire.AppendBytes(protowire.AppendTag(w.B, n, protowire.BytesType), in.B)
}

// Pair appends a key with its value, blank or not.
func (w *Writer) Pair(n protowire.Number, key, value string) {
	w.B = protowire.AppendTag(w.B, n, protowire.BytesType)
	w.B = protowire.AppendVarint(w.B, uint64(textSize(key)+textSize(value)))
	w.Text(1, key)
	w.Text(2, value)
}

// textSize is what Text appends for a field of a small number.
func textSize(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

// Field is one field as read.
type Field struct {
	N     protowire.Number
	Bytes []byte // shares memory with the row
	Num   int64  // of Number and Flag, the bits of Float
}

// Text is the field as a text.
func (f *Field) Text() string { return string(f.Bytes) }

// Float is the field as a float.
func (f *Field) Float() float64 { return math.Float64frombits(uint64(f.Num)) }

// Pair is the field as a key with its value.
func (f *Field) Pair() (key, value string, err error) {
	k, v, err := f.PairBytes()
	return string(k), string(v), err
}

// PairBytes is Pair without a copy.
func (f *Field) PairBytes() (key, value []byte, err error) {
	err = Each(f.Bytes, func(in Field) error {
		switch in.N {
		case 1:
			key = in.Bytes
		case 2:
			value = in.Bytes
		}
		return nil
	})
	return key, value, err
}

// Each calls fn for every field of a row, or of a message inside one.
func Each(b []byte, fn func(Field) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return ErrMalformed
		}
		b = b[size:]
		f := Field{N: n}
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, size = protowire.ConsumeVarint(b)
			f.Num = int64(v)
		case protowire.Fixed64Type:
			var v uint64
			v, size = protowire.ConsumeFixed64(b)
			f.Num = int64(v)
		case protowire.BytesType:
			f.Bytes, size = protowire.ConsumeBytes(b)
		default:
			return ErrMalformed
		}
		if size < 0 {
			return ErrMalformed
		}
		b = b[size:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}
