package rpc

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// grpcContent is the content type of answers to those who ask with it; others get
// their own back.
const grpcContent = "application/grpc"

// Of the tables of headers.
const (
	fieldStatus200 = 0x80 | 8 // in the static table
	nameStatus     = 8        // the name alone
	nameContent    = 31       // likewise
	staticEntries  = 61
)

// table is what the client keeps of our headers: the two that every good answer
// has, so that later ones are references. Blocks must be sent in the order in
// which they are made.
type table struct {
	entries       int // so far
	content, okay int // which entry it is; 0: none yet
	off           bool
	told          bool // the client knows that nothing is kept
}

// begin is what a block must begin with.
func (t *table) begin(b []byte) []byte {
	if t.off && !t.told {
		t.told = true
		b = append(b, 0x20) // a table of no bytes
	}
	return b
}

func (t *table) reference(b []byte, entry int) []byte {
	return append(b, 0x80|byte(staticEntries+1+t.entries-entry))
}

// appendHead is the beginning of an answer.
func (t *table) appendHead(b []byte, content string) []byte {
	b = append(t.begin(b), fieldStatus200)
	switch {
	case t.off || content != grpcContent:
		return appendText(appendInt(b, 0, 4, nameContent), content)
	case t.content != 0:
		return t.reference(b, t.content)
	}
	t.entries++
	t.content = t.entries
	return appendText(appendInt(b, 0x40, 6, nameContent), content)
}

// appendStatus is the status of an answer.
func (t *table) appendStatus(b []byte, st *status.Status) []byte {
	b = t.begin(b)
	switch {
	case st.Code() != codes.OK:
		b = appendField(b, "grpc-status", strconv.Itoa(int(st.Code())))
		if m := st.Message(); m != "" {
			b = appendField(b, "grpc-message", escape(m))
		}
		if p := st.Proto(); p != nil && len(p.GetDetails()) > 0 {
			if raw, err := proto.Marshal(p); err == nil {
				b = appendField(b, "grpc-status-details-bin", base64.RawStdEncoding.EncodeToString(raw))
			}
		}
		return b
	case t.off:
		return appendField(b, "grpc-status", "0")
	case t.okay != 0:
		return t.reference(b, t.okay)
	}
	t.entries++
	t.okay = t.entries
	return appendText(appendText(append(b, 0x40), "grpc-status"), "0")
}

// appendMetadata adds what handlers say, without what is ours to say.
func appendMetadata(b []byte, md metadata.MD) []byte {
	for name, values := range md {
		name = strings.ToLower(name)
		if !validName(name) || reserved(name) {
			continue
		}
		for _, v := range values {
			if strings.HasSuffix(name, "-bin") {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			} else if !printable(v) {
				continue
			}
			b = appendField(b, name, v)
		}
	}
	return b
}

// reserved names belong to the transport.
func reserved(name string) bool {
	switch name {
	case "content-type", "te", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
		"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-timeout", "grpc-message-type":
		return true
	}
	return false
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// escape makes a text one of printable characters, as grpc-message must be.
func escape(s string) string {
	if printable(s) && !strings.Contains(s, "%") {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// appendInt is an integer behind the first bits of a byte.
func appendInt(b []byte, first byte, bits uint, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendText(b []byte, s string) []byte {
	return append(appendInt(b, 0, 7, len(s)), s...)
}

// appendField is a header that is not kept.
func appendField(b []byte, name, value string) []byte {
	return appendText(appendText(append(b, 0), name), value)
}

// incoming is what handlers see of a header list.
func (r *request) incoming() metadata.MD {
	md := make(metadata.MD, len(r.fields))
	for _, f := range r.fields {
		switch {
		case reserved(f.Name) && f.Name != "content-type":
		case strings.HasSuffix(f.Name, "-bin"):
			for v := range strings.SplitSeq(f.Value, ",") {
				raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "="))
				if err == nil {
					md[f.Name] = append(md[f.Name], string(raw))
				}
			}
		default:
			md[f.Name] = append(md[f.Name], f.Value)
		}
	}
	return md
}
