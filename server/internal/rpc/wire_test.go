package rpc

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// wire is a client that writes frames as a test wants them.
type wire struct {
	net.Conn
	next    uint32
	block   []byte // headers of a call, as references once they were sent
	stream  []byte
	read    []byte
	decoder *hpack.Decoder
	fields  []hpack.HeaderField
}

// newWire greets.
func newWire(tb testing.TB, addr string) *wire {
	tb.Helper()
	w := newSilent(tb, addr)
	b := appendFrame([]byte(preface), 6, kindSettings, 0, 0)
	b = appendSetting(b, settingWindow, 8<<20)
	w.write(tb, appendWindow(b, 0, 1<<30))
	return w
}

// newSilent says nothing.
func newSilent(tb testing.TB, addr string) *wire {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	w := &wire{Conn: c, next: 1, read: make([]byte, 0, 32<<10)}
	w.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { w.fields = append(w.fields, f) })
	w.block, w.stream = requestBlock(unaryPath), requestBlock(streamPath)
	return w
}

// field is the value of a header that came.
func (w *wire) field(name string) string {
	for _, f := range w.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func requestBlock(path string) []byte {
	b := []byte{0x83, 0x86} // POST, http
	b = appendText(appendInt(b, 0x40, 6, 4), path)
	b = appendText(appendInt(b, 0x40, 6, 1), "localhost")
	b = appendText(appendInt(b, 0x40, 6, nameContent), grpcContent)
	return appendText(appendText(append(b, 0x40), "te"), "trailers")
}

// known is a block of references to the last that was sent whole.
var known = []byte{0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62}

func (w *wire) write(tb testing.TB, b []byte) {
	tb.Helper()
	if _, err := w.Write(b); err != nil {
		tb.Fatalf("Write() = %v", err)
	}
}

func message(n int) []byte {
	b, _ := proto.Marshal(wrapperspb.Bytes(pattern(n)))
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

var message200 = message(200)

// frame returns the next frame.
func (w *wire) frame() (frame, []byte, error) {
	for {
		if len(w.read) >= frameHead {
			f := parseFrame(w.read)
			if end := frameHead + f.length; len(w.read) >= end {
				p := w.read[frameHead:end:end]
				w.read = w.read[end:]
				return f, p, nil
			}
		}
		if cap(w.read)-len(w.read) < 20<<10 {
			w.read = append(make([]byte, 0, 64<<10), w.read...)
		}
		n, err := w.Read(w.read[len(w.read):cap(w.read)])
		w.read = w.read[:len(w.read)+n]
		if n == 0 && err != nil {
			return frame{}, nil, err
		}
	}
}

// until returns the next frame of a kind.
func (w *wire) until(tb testing.TB, k kind) (frame, []byte) {
	tb.Helper()
	_ = w.SetReadDeadline(time.Now().Add(patience))
	for {
		f, p, err := w.frame()
		if err != nil {
			tb.Fatalf("waiting for a frame of kind %d: %v", k, err)
		}
		if f.kind == k && (k != kindSettings && k != kindPing || f.has(flagAck)) {
			return f, p
		}
	}
}

// wantGoAway expects the end of the connection with a code.
func (w *wire) wantGoAway(tb testing.TB, want code) {
	tb.Helper()
	_ = w.SetReadDeadline(time.Now().Add(patience))
	for {
		f, p, err := w.frame()
		if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && f.kind != kindGoAway {
			if err != nil {
				tb.Fatalf("no GOAWAY, want code %d", want)
			}
			continue
		}
		if err != nil {
			tb.Fatalf("the end came without a GOAWAY: %v, want code %d", err, want)
		}
		if got := code(binary.BigEndian.Uint32(p[4:])); got != want {
			tb.Errorf("GOAWAY %d %q, want %d", got, p[8:], want)
		}
		_, err = io.Copy(io.Discard, w)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			tb.Error("the connection stays open after GOAWAY")
		}
		return
	}
}

// call makes a unary call and reads its answer.
func (w *wire) call(tb testing.TB, n int) {
	tb.Helper()
	id := w.next
	w.next += 2
	var room [1024]byte
	b := appendFrame(room[:0], len(w.block), kindHeaders, flagEndHeaders, id)
	b = append(b, w.block...)
	w.block = known
	b = appendFrame(b, len(message200), kindData, flagEndStream, id)
	if _, err := w.Write(append(b, message200...)); err != nil {
		tb.Error(err)
		return
	}
	got := 0
	for {
		f, _, err := w.frame()
		if err != nil {
			tb.Error(err)
			return
		}
		if f.kind == kindData {
			got += f.length
		}
		if f.kind == kindHeaders && f.has(flagEndStream) {
			break
		}
	}
	if got != len(message200) {
		tb.Errorf("answer of %d bytes, want %d", got, len(message200))
	}
}

// open opens a stream.
func (w *wire) open(tb testing.TB) {
	tb.Helper()
	w.write(tb, append(appendFrame(nil, len(w.stream), kindHeaders, flagEndHeaders, w.next), w.stream...))
	w.next += 2
}

// message reads one.
func (w *wire) message(tb testing.TB, n int) {
	tb.Helper()
	for {
		f, _, err := w.frame()
		if err != nil {
			tb.Fatal(err)
		}
		if f.kind == kindData {
			return
		}
	}
}
