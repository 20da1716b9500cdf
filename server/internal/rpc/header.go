package rpc

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

// maxHeaders bounds the header list of a call, in bytes as HTTP/2 counts them, and
// the bytes of its block.
const maxHeaders = 16 << 10

// request is the header list of a call. It does not change, so calls with the same
// list share it.
type request struct {
	method, path, content string
	encoding, timeout     string
	length                int64 // of the body; -1: not said
	fields                []hpack.HeaderField
	fault                 string // why the stream must be reset; empty: it is well-formed
	tooLarge              bool
}

// reader of header lists; one for each connection, since compression has a state.
type headers struct {
	decoder *hpack.Decoder
	now     *request
	size    int
	seen    uint8 // pseudo headers
	regular bool  // one that is not pseudo came

	// The last list whose block is made of references alone. It means the same as
	// long as nothing was added to the table.
	block []byte
	same  *request
}

const (
	seenMethod = 1 << iota
	seenScheme
	seenPath
	seenAuthority
)

// references says whether a block is made of references to the tables alone, each
// of one byte.
func references(block []byte) bool {
	for _, b := range block {
		if b <= 0x80 || b == 0xff {
			return false
		}
	}
	return true
}

// read decodes a whole block. An error leaves compression undefined.
func (h *headers) read(block []byte) (*request, error) {
	plain := references(block)
	if plain && h.same != nil && bytes.Equal(block, h.block) {
		return h.same, nil
	}
	if h.decoder == nil {
		h.decoder = hpack.NewDecoder(baseTable, h.emit)
		h.decoder.SetMaxStringLength(maxHeaders)
	}
	h.now, h.size, h.seen, h.regular = &request{length: -1}, 0, 0, false
	h.decoder.SetEmitEnabled(true)
	_, err := h.decoder.Write(block)
	if err == nil {
		err = h.decoder.Close()
	}
	if err != nil {
		return nil, err
	}
	out := h.now
	h.now = nil
	if out.fault == "" && !out.tooLarge && h.seen&(seenMethod|seenScheme|seenPath) != seenMethod|seenScheme|seenPath {
		out.fault = "a pseudo header is missing"
	}
	switch {
	case !plain:
		h.same = nil // the table may have changed
	case !out.tooLarge:
		h.same, h.block = out, append(h.block[:0], block...)
	}
	return out, nil
}

func (h *headers) emit(f hpack.HeaderField) {
	r := h.now
	if h.size += len(f.Name) + len(f.Value) + 32; h.size > maxHeaders {
		r.tooLarge, r.fields = true, nil
		h.decoder.SetEmitEnabled(false)
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudo(f)
		return
	}
	h.regular = true
	switch f.Name {
	case "content-type":
		r.content = f.Value
	case "grpc-encoding":
		r.encoding = f.Value
	case "grpc-timeout":
		r.timeout = f.Value
		return
	case "content-length":
		n, err := strconv.ParseInt(f.Value, 10, 64)
		if err != nil || n < 0 {
			h.refuse("content-length is no number")
		}
		r.length = n
	case "te":
		if f.Value != "trailers" {
			h.refuse("te is not trailers")
		}
		return
	case "connection", "proxy-connection", "keep-alive", "upgrade", "transfer-encoding":
		h.refuse("header of a connection")
	default:
		if !validName(f.Name) {
			h.refuse("name of a header")
		}
	}
	r.fields = append(r.fields, f)
}

func (h *headers) pseudo(f hpack.HeaderField) {
	var bit uint8
	switch f.Name {
	case ":method":
		bit, h.now.method = seenMethod, f.Value
	case ":scheme":
		bit = seenScheme
	case ":path":
		bit, h.now.path = seenPath, f.Value
		if f.Value == "" {
			h.refuse("path is empty")
		}
	case ":authority":
		bit = seenAuthority
		h.now.fields = append(h.now.fields, f)
	}
	if bit == 0 || h.seen&bit != 0 || h.regular {
		h.refuse("pseudo header unknown, twice or late")
	}
	h.seen |= bit
}

func (h *headers) refuse(why string) {
	if h.now.fault == "" {
		h.now.fault = why
	}
}

func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' || c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return name != ""
}

// isGRPC says whether a content type is one of gRPC.
func isGRPC(content string) bool {
	rest, ok := strings.CutPrefix(content, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// parseTimeout reads a grpc-timeout: up to eight digits and a unit.
func parseTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	const most = 1 << 62
	if time.Duration(n) > most/unit {
		return most, true
	}
	return time.Duration(n) * unit, true
}
