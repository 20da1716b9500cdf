package stream

import (
	"strconv"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto" // also registers it
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// message is a Payload on its way out. Its body is made of parts that others may
// share, so they are never changed, and long ones are not copied (ENG-08).
type message struct {
	kind string
	from string // address of this server; blank: none
	// request, when not 0, is the id that the body begins with; the parts are then
	// what follows it in the object.
	request uint64
	parts   [3][]byte
}

// codec writes messages, and leaves everything else to protobuf.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*message); ok {
		return m.marshal(), nil
	}
	return c.CodecV2.Marshal(v) //nolint:wrapcheck // grpc tells it
}

// The fields of a Payload (NAC-TRN-02..04).
const (
	fieldMetadata = 2
	fieldBody     = 3
	fieldType     = 3 // of the metadata
	fieldClientIP = 8 // of the metadata
	fieldValue    = 2 // of the body
)

// joined is up to how many bytes a message is made one buffer: then copying is
// cheaper than handling several.
const joined = 4 << 10

const (
	requestHead = `{"requestId":"`
	requestTail = `",`
)

func (m *message) marshal() mem.BufferSlice {
	shared := 0
	for _, p := range m.parts {
		shared += len(p)
	}
	head := m.head(shared)
	if shared <= joined {
		for _, p := range m.parts {
			head = append(head, p...)
		}
		return mem.BufferSlice{mem.SliceBuffer(head)}
	}
	out := make(mem.BufferSlice, 1, 1+len(m.parts))
	out[0] = mem.SliceBuffer(head)
	for _, p := range m.parts {
		if len(p) > 0 {
			out = append(out, mem.SliceBuffer(p))
		}
	}
	return out
}

// head is everything before the parts, with room for them when they are few.
func (m *message) head(shared int) []byte {
	var digits [20]byte
	id := digits[:0]
	body := shared
	if m.request != 0 {
		id = strconv.AppendUint(id, m.request, 10)
		body += len(requestHead) + len(id) + len(requestTail)
	}
	meta := sizeBytes(fieldType, len(m.kind))
	if m.from != "" {
		meta += sizeBytes(fieldClientIP, len(m.from))
	}
	value := sizeBytes(fieldValue, body)
	room := sizeBytes(fieldMetadata, meta) + sizeBytes(fieldBody, value)
	if shared > joined {
		room -= shared
	}
	b := make([]byte, 0, room)
	b = appendLength(b, fieldMetadata, meta)
	b = append(appendLength(b, fieldType, len(m.kind)), m.kind...)
	if m.from != "" {
		b = append(appendLength(b, fieldClientIP, len(m.from)), m.from...)
	}
	b = appendLength(b, fieldBody, value)
	b = appendLength(b, fieldValue, body)
	if m.request != 0 {
		b = append(b, requestHead...)
		b = append(b, id...)
		b = append(b, requestTail...)
	}
	return b
}

func appendLength(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

func sizeBytes(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}
