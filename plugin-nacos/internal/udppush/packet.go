package udppush

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strconv"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// compressed is the length from which packets are (NAC-UDP-03).
const compressed = 1024

// packet is a list as it is sent.
type packet struct {
	body    []byte // never changed
	ref     int64  // what the acknowledgement names
	version uint64 // of the service; 0: there is none
}

// maxReference keeps the keys of packets far under 2^53, so that clients that hold
// numbers as doubles send them back as they were.
const maxReference = 1 << 50

// encode makes the packet of a list (NAC-UDP-03, 04).
func (a *API) encode(l *naming.List) *packet {
	p := &packet{ref: a.reference.Add(1)}
	if l.Snapshot != nil {
		p.version = l.Snapshot.Version
	}
	data, err := json.Marshal(string(l.AppendPacket(nil)))
	if err != nil {
		data = []byte(`""`) // cannot be: a text
	}
	const around = 64
	b := make([]byte, 0, len(data)+around)
	b = append(b, `{"type":"dom","data":`...)
	b = append(b, data...)
	b = append(b, `,"lastRefTime":`...)
	b = strconv.AppendInt(b, p.ref, 10)
	b = append(b, '}')
	if len(b) >= compressed {
		b = zipped(b)
	}
	p.body = b
	return p
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // into memory
	_ = w.Close()
	return out.Bytes()
}

// maxAck bounds a datagram that is looked at; an acknowledgement has some 60
// bytes.
const maxAck = 512

// parseAck reads an acknowledgement (NAC-UDP-05).
func parseAck(datagram []byte) (ref int64, ok bool) {
	if len(datagram) > maxAck {
		return 0, false
	}
	var m struct {
		Type string          `json:"type"`
		Ref  json.RawMessage `json:"lastRefTime"`
	}
	if err := json.Unmarshal(datagram, &m); err != nil || m.Type != "push-ack" {
		return 0, false
	}
	text := m.Ref
	if n := len(text); n >= 2 && text[0] == '"' {
		text = text[1 : n-1]
	}
	ref, err := strconv.ParseInt(string(text), 10, 64)
	return ref, err == nil && ref > 0
}
