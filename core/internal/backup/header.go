package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// format is that of the header and of what follows it.
const format = 1

const (
	magic     = "BATATABK"
	fixed     = len(magic) + 4 + 4 // magic, format, length
	maxHeader = 64 << 10
)

// Header says what a backup holds.
type Header struct {
	Cluster  uint64    `json:"cluster,string"`  // whose state it is
	Member   uint64    `json:"member,string"`   // that gave it
	Index    uint64    `json:"index,string"`    // the last applied entry
	Term     uint64    `json:"term,string"`     // of that
	Revision uint64    `json:"revision,string"` // of the state
	Taken    time.Time `json:"taken"`
	Version  string    `json:"version,omitempty"` // of the server
}

// ErrDamaged reports bytes that are not a backup, or a damaged one.
var ErrDamaged = errors.New("not a backup, or damaged")

// FormatError reports a backup that this build does not know.
type FormatError struct{ Found, Known uint32 }

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("the backup has format %d, this version reads up to %d: restore it with the version that wrote it, or a later one",
		e.Found, e.Known)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Append appends the encoded header to dst.
func (h *Header) Append(dst []byte) ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	if len(body) > maxHeader {
		return nil, fmt.Errorf("encode header: %d bytes", len(body))
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, magic...), format)
	dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(body))), body...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli())), nil
}

// ReadHeader reads the front of a backup; what follows is a snapshot.
func ReadHeader(r io.Reader) (Header, error) {
	b := make([]byte, fixed)
	if _, err := io.ReadFull(r, b); err != nil {
		return Header{}, cut(err)
	}
	if !bytes.HasPrefix(b, []byte(magic)) {
		return Header{}, fmt.Errorf("%w: it does not begin like one", ErrDamaged)
	}
	if f := binary.BigEndian.Uint32(b[len(magic):]); f != format {
		return Header{}, &FormatError{Found: f, Known: format}
	}
	n := binary.BigEndian.Uint32(b[len(magic)+4:])
	if n > maxHeader {
		return Header{}, fmt.Errorf("%w: header of %d bytes", ErrDamaged, n)
	}
	rest := make([]byte, n+4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, cut(err)
	}
	body, sum := rest[:n], binary.BigEndian.Uint32(rest[n:])
	if crc32.Update(crc32.Checksum(b, castagnoli()), castagnoli(), body) != sum {
		return Header{}, fmt.Errorf("%w: checksum of the header", ErrDamaged)
	}
	var h Header
	if err := json.Unmarshal(body, &h); err != nil {
		return Header{}, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	return h, nil
}

// cut gives the end of the input an error of its own.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrDamaged)
	}
	return err
}
