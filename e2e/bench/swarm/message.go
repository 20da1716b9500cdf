package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxHead   = 192 // of a message: its class is within
	maxSmall  = 512 // a message that is searched for more
	maxMarker = 48
	overlap   = 64 // longer than any needle with its value
)

var (
	needleID = []byte(`"requestId":"`)
	needleOK = []byte(`"resultCode":200`)
	// Of the check: the setup will be settled (NAC-CON-06).
	needleSettles = []byte(`"supportAbilityNegotiation":true`)
)

var errCompressed = errors.New("compressed message")

// message scans one length-prefixed message of gRPC that comes in pieces. The
// zero value waits for the first byte.
type message struct {
	prefix [5]byte
	got    int // of the prefix
	left   int // of the body
	size   int
	head   [maxHead]byte
	headN  int
	tail   [overlap]byte // the last bytes seen
	tailN  int
	id     [24]byte
	idN    int
	answer bool // it says how a call went
	ok     bool
	marked bool
	// settles says that the peer tells when a setup is over.
	settles bool
}

// feed takes what belongs to the message and returns the rest; over says that the
// message ended.
func (m *message) feed(b, marker []byte) (rest []byte, over bool, err error) {
	if m.got < len(m.prefix) {
		n := copy(m.prefix[m.got:], b)
		if m.got += n; m.got < len(m.prefix) {
			return nil, false, nil
		}
		b = b[n:]
		if m.prefix[0] != 0 {
			return nil, false, errCompressed
		}
		m.size = int(binary.BigEndian.Uint32(m.prefix[1:]))
		m.left, m.headN, m.tailN, m.idN, m.ok, m.marked, m.settles = m.size, 0, 0, 0, false, false, false
	}
	n := min(len(b), m.left)
	piece := b[:n]
	m.headN += copy(m.head[m.headN:], piece)
	m.scan(piece, marker)
	if m.left -= n; m.left > 0 {
		return nil, false, nil
	}
	m.got = 0
	return b[n:], true, nil
}

// scan looks for what is asked of a message, across the border to the piece
// before.
func (m *message) scan(piece, marker []byte) {
	if m.tailN > 0 {
		var join [2 * overlap]byte
		n := copy(join[:], m.tail[:m.tailN])
		n += copy(join[n:], piece[:min(len(piece), overlap)])
		m.look(join[:n], marker)
	}
	m.look(piece, marker)
	if len(piece) >= overlap {
		m.tailN = copy(m.tail[:], piece[len(piece)-overlap:])
		return
	}
	if keep := overlap - len(piece); m.tailN > keep {
		copy(m.tail[:], m.tail[m.tailN-keep:m.tailN])
		m.tailN = keep
	}
	m.tailN += copy(m.tail[m.tailN:], piece)
}

func (m *message) look(b, marker []byte) {
	if len(marker) > 0 && !m.marked {
		m.marked = bytes.Contains(b, marker)
	}
	if m.idN == 0 {
		if _, value, found := bytes.Cut(b, needleID); found {
			if end := bytes.IndexByte(value, '"'); end > 0 && end <= len(m.id) {
				m.idN = copy(m.id[:], value[:end])
			}
		}
	}
	if !m.answer {
		return
	}
	m.ok = m.ok || bytes.Contains(b, needleOK)
	if m.size <= maxSmall {
		m.settles = m.settles || bytes.Contains(b, needleSettles)
	}
}

// kind is the class of the message (NAC-TRN-03); valid until the next one.
func (m *message) kind() []byte {
	num, typ, n := protowire.ConsumeTag(m.head[:m.headN])
	if n < 0 || num != 2 || typ != protowire.BytesType {
		return nil
	}
	length, k := protowire.ConsumeVarint(m.head[n:m.headN])
	if k < 0 {
		return nil
	}
	meta := m.head[n+k : min(uint64(m.headN), uint64(n+k)+length)]
	num, typ, n = protowire.ConsumeTag(meta)
	if n < 0 || num != 3 || typ != protowire.BytesType {
		return nil
	}
	kind, n := protowire.ConsumeBytes(meta[n:])
	if n < 0 {
		return nil
	}
	return kind
}

func (m *message) requestID() []byte { return m.id[:m.idN] }

// Payload encodes one message of the SDK protocol (NAC-TRN-02..04).
func Payload(kind string, value []byte) []byte {
	return appendPayload(nil, []byte(kind), value)
}

func appendPayload(b, kind, value []byte) []byte {
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(kind))))
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendBytes(b, kind)
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(value))))
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}
