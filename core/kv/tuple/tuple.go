// Package tuple encodes the parts of a key so that the order of the encoded
// bytes is the order of the parts (ARC-S05).
//
// A text is written with 0x00 escaped as 0x00 0xFF and ended by 0x00 0x01, so
// that no text is a prefix of another one's encoding. Numbers are big endian,
// signed ones with their sign bit flipped. The package owns no goroutine.
package tuple

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

const (
	escape     = 0x00
	escaped    = 0xFF // follows escape: a zero byte of the text
	terminator = 0x01 // follows escape: the end of the text
)

// ErrMalformed reports bytes that no Append function of this package wrote.
var ErrMalformed = errors.New("malformed key")

// AppendString appends a text.
func AppendString(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, escape)
		if i < 0 {
			break
		}
		dst = append(dst, s[:i]...)
		dst = append(dst, escape, escaped)
		s = s[i+1:]
	}
	dst = append(dst, s...)
	return append(dst, escape, terminator)
}

// AppendUint64 appends an unsigned number, eight bytes.
func AppendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

// AppendInt64 appends a signed number, eight bytes.
func AppendInt64(dst []byte, v int64) []byte { return AppendUint64(dst, uint64(v)^(1<<63)) }

// String reads a text and returns what follows it.
func String(b []byte) (s string, rest []byte, err error) {
	var out []byte
	for {
		i := bytes.IndexByte(b, escape)
		if i < 0 || i+1 == len(b) {
			return "", nil, ErrMalformed
		}
		switch b[i+1] {
		case terminator:
			if out == nil {
				return string(b[:i]), b[i+2:], nil
			}
			return string(append(out, b[:i]...)), b[i+2:], nil
		case escaped:
			out = append(append(out, b[:i]...), escape)
			b = b[i+2:]
		default:
			return "", nil, ErrMalformed
		}
	}
}

// Cut is String without a copy: the text shares memory with b, unless a zero byte
// was escaped in it.
func Cut(b []byte) (text, rest []byte, err error) {
	i := bytes.IndexByte(b, escape)
	if i >= 0 && i+1 < len(b) && b[i+1] == terminator {
		return b[:i:i], b[i+2:], nil
	}
	s, rest, err := String(b)
	return []byte(s), rest, err
}

// Uint64 reads an unsigned number and returns what follows it.
func Uint64(b []byte) (v uint64, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, ErrMalformed
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

// Int64 reads a signed number and returns what follows it.
func Int64(b []byte) (v int64, rest []byte, err error) {
	u, rest, err := Uint64(b)
	return int64(u ^ (1 << 63)), rest, err
}

// Strings reads a key that is texts only.
func Strings(b []byte) ([]string, error) {
	var out []string
	for len(b) > 0 {
		s, rest, err := String(b)
		if err != nil {
			return nil, err
		}
		out, b = append(out, s), rest
	}
	return out, nil
}
