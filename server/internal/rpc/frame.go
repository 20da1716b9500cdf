package rpc

import "encoding/binary"

// kind is the type of a frame.
type kind uint8

const (
	kindData kind = iota
	kindHeaders
	kindPriority
	kindReset
	kindSettings
	kindPush
	kindPing
	kindGoAway
	kindWindow
	kindContinuation
)

// Flags of frames; which ones count depends on the kind.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// code is why a stream or a connection ended.
type code uint32

const (
	codeNone code = iota
	codeProtocol
	codeInternal
	codeFlowControl
	codeSettingsTimeout
	codeStreamClosed
	codeFrameSize
	codeRefused
	codeCancel
	codeCompression
	codeConnect
	codeCalm // the client asks for too much work
)

// Settings of HTTP/2.
const (
	settingTable   = 1
	settingPush    = 2
	settingStreams = 3
	settingWindow  = 4
	settingFrame   = 5
	settingHeaders = 6
)

const (
	// preface is what a client says first.
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameHead  = 9
	minFrame   = 16 << 10 // of its payload: what we take, and what everybody must
	maxFrame   = 1<<24 - 1
	maxWindow  = 1<<31 - 1
	baseWindow = 1<<16 - 1 // before anybody has said something else
	baseTable  = 4096
)

// frame is the head of one.
type frame struct {
	length int
	kind   kind
	flags  uint8
	stream uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: kind(b[3]), flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxWindow,
	}
}

func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

func appendFrame(b []byte, length int, k kind, flags uint8, stream uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(k), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendReset(b []byte, stream uint32, c code) []byte {
	b = appendFrame(b, 4, kindReset, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(c))
}

func appendWindow(b []byte, stream uint32, n int64) []byte {
	b = appendFrame(b, 4, kindWindow, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendSetting(b []byte, id uint16, v uint32) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	return binary.BigEndian.AppendUint32(b, v)
}

func appendGoAway(b []byte, last uint32, c code, why string) []byte {
	b = appendFrame(b, 8+len(why), kindGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(c))
	return append(b, why...)
}

// fault ends a connection with a GOAWAY.
type fault struct {
	code code
	why  string
}

// Error implements error.
func (f *fault) Error() string { return f.why }
