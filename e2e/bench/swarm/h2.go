package swarm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHeader = 9
	window      = 1 << 30 // what the peer may send before it is told to go on
	maxControl  = 192
)

// headerBlock encodes the headers of a call, without a dynamic table, so that the
// same bytes serve every connection.
func headerBlock(authority, path string) []byte {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	enc.SetMaxDynamicTableSize(0)
	_ = enc.WriteField(hpack.HeaderField{Name: ":method", Value: "POST"})
	buf.Reset() // the announcement of the table
	for _, f := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", path},
		{":authority", authority},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
		{"user-agent", "grpc-bench/1"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return buf.Bytes()
}

func appendFrame(b []byte, kind http2.FrameType, flags http2.Flags, stream uint32, payload ...[]byte) []byte {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	b = append(b, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	b = binary.BigEndian.AppendUint32(b, stream)
	for _, p := range payload {
		b = append(b, p...)
	}
	return b
}

// appendData adds one message of gRPC.
func appendData(b []byte, stream uint32, end bool, m []byte) []byte {
	var flags http2.Flags
	if end {
		flags = http2.FlagDataEndStream
	}
	var prefix [5]byte
	binary.BigEndian.PutUint32(prefix[1:], uint32(len(m)))
	return appendFrame(b, http2.FrameData, flags, stream, prefix[:], m)
}

// preface opens a connection, without a limit on what the peer sends.
func preface() []byte {
	setting := func(id http2.SettingID, v uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(id)), v)
	}
	b := []byte(http2.ClientPreface)
	b = appendFrame(b, http2.FrameSettings, 0, 0, setting(http2.SettingHeaderTableSize, 0),
		setting(http2.SettingEnablePush, 0), setting(http2.SettingInitialWindowSize, window))
	return appendFrame(b, http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, window))
}

// frames reads the frames of one connection as they come in pieces.
type frames struct {
	header  [frameHeader]byte
	got     int
	left    int
	control [maxControl]byte // the first bytes of a frame that is not data
	n       int

	read    int64        // since the last window update of the connection
	initial int64        // window of new streams, as the peer set it
	room    atomic.Int64 // what may be sent on the connection
}

func (f *frames) kind() http2.FrameType { return http2.FrameType(f.header[3]) }
func (f *frames) flags() http2.Flags    { return http2.Flags(f.header[4]) }
func (f *frames) stream() uint32        { return binary.BigEndian.Uint32(f.header[5:]) & (1<<31 - 1) }

// receiver is told of the frames.
type receiver interface {
	data(stream uint32, b []byte) error
	// ended tells the end of a frame other than the control of the connection.
	ended(f *frames) error
	reply(b []byte) error
}

func (f *frames) feed(b []byte, r receiver) error {
	for len(b) > 0 {
		if f.got < frameHeader {
			n := copy(f.header[f.got:], b)
			b = b[n:]
			if f.got += n; f.got < frameHeader {
				return nil
			}
			f.left, f.n = int(f.header[0])<<16|int(f.header[1])<<8|int(f.header[2]), 0
			if f.kind() == http2.FrameData && f.flags().Has(http2.FlagDataPadded) {
				return fmt.Errorf("padded frame")
			}
		}
		piece := b[:min(len(b), f.left)]
		b = b[len(piece):]
		f.left -= len(piece)
		if f.kind() == http2.FrameData {
			f.read += int64(len(piece))
			if err := r.data(f.stream(), piece); err != nil {
				return err
			}
		} else {
			f.n += copy(f.control[f.n:], piece)
		}
		if f.left > 0 {
			continue
		}
		f.got = 0
		if err := f.end(r); err != nil {
			return err
		}
	}
	return nil
}

// end handles a whole frame.
func (f *frames) end(r receiver) error {
	switch f.kind() {
	case http2.FrameSettings:
		if f.flags().Has(http2.FlagSettingsAck) {
			return nil
		}
		for b := f.control[:f.n]; len(b) >= 6; b = b[6:] {
			if http2.SettingID(binary.BigEndian.Uint16(b)) == http2.SettingInitialWindowSize {
				f.initial = int64(binary.BigEndian.Uint32(b[2:]))
			}
		}
		return r.reply(appendFrame(nil, http2.FrameSettings, http2.FlagSettingsAck, 0))
	case http2.FramePing:
		if f.flags().Has(http2.FlagPingAck) {
			return nil
		}
		return r.reply(appendFrame(nil, http2.FramePing, http2.FlagPingAck, 0, f.control[:f.n]))
	case http2.FrameGoAway:
		return fmt.Errorf("told to go away: %q", f.control[:f.n])
	case http2.FrameWindowUpdate:
		if f.stream() == 0 {
			f.room.Add(int64(binary.BigEndian.Uint32(f.control[:4])))
			return nil
		}
	case http2.FrameData:
		if f.read > window/2 {
			more := uint32(f.read)
			f.read = 0
			if err := r.reply(appendFrame(nil, http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, more))); err != nil {
				return err
			}
		}
	default:
	}
	return r.ended(f)
}

// describe decodes the headers of a frame, for an error.
func (f *frames) describe() string {
	fields, err := hpack.NewDecoder(0, nil).DecodeFull(f.control[:f.n])
	if err != nil {
		return fmt.Sprintf("headers %q", f.control[:f.n])
	}
	return fmt.Sprint(fields)
}
