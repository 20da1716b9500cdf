package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
)

func ping(n byte) []byte { return append(appendFrame(nil, 8, kindPing, 0, 0), n, 0, 0, 0, 0, 0, 0, 0) }

func call(id uint32, block []byte, flags uint8) []byte {
	return append(appendFrame(nil, len(block), kindHeaders, flags, id), block...)
}

func data(id uint32, p []byte, flags uint8) []byte {
	return append(appendFrame(nil, len(p), kindData, flags, id), p...)
}

// What clients may not send ends the connection with the right code, and the
// server goes on with others.
func TestFaults(t *testing.T) {
	_, addr := serve(t, &service{})
	open := call(1, requestBlock(streamPath), flagEndHeaders)
	for name, tt := range map[string]struct {
		send []byte
		want code
	}{
		"frame too large":            {appendFrame(nil, minFrame+1, kindData, 0, 1), codeFrameSize},
		"DATA of no stream":          {data(0, nil, 0), codeProtocol},
		"DATA of an idle stream":     {data(5, []byte("x"), 0), codeProtocol},
		"even stream":                {call(2, requestBlock(unaryPath), flagEndHeaders), codeProtocol},
		"stream goes back":           {append(call(5, requestBlock(streamPath), flagEndHeaders), call(3, known, flagEndHeaders)...), codeStreamClosed},
		"padding too large":          {append(open, append(appendFrame(nil, 2, kindData, flagPadded, 1), 2, 0)...), codeProtocol},
		"window of nothing":          {appendWindow(nil, 0, 0), codeProtocol},
		"window overflows":           {appendWindow(appendWindow(nil, 0, maxWindow), 0, maxWindow), codeFlowControl},
		"initial window overflows":   {appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingWindow, 1<<31), codeFlowControl},
		"window of an idle stream":   {appendWindow(nil, 7, 1), codeProtocol},
		"short window":               {append(appendFrame(nil, 3, kindWindow, 0, 0), 0, 0, 1), codeFrameSize},
		"settings of a stream":       {appendFrame(nil, 0, kindSettings, 0, 1), codeProtocol},
		"settings of five bytes":     {append(appendFrame(nil, 5, kindSettings, 0, 0), 0, 0, 0, 0, 0), codeFrameSize},
		"settings ack with bytes":    {append(appendFrame(nil, 1, kindSettings, flagAck, 0), 0), codeFrameSize},
		"frames too small":           {appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingFrame, 100), codeProtocol},
		"ping of a stream":           {append(appendFrame(nil, 8, kindPing, 0, 1), make([]byte, 8)...), codeProtocol},
		"short ping":                 {append(appendFrame(nil, 4, kindPing, 0, 0), make([]byte, 4)...), codeFrameSize},
		"goaway of a stream":         {append(appendFrame(nil, 8, kindGoAway, 0, 1), make([]byte, 8)...), codeProtocol},
		"reset of an idle stream":    {appendReset(nil, 9, codeCancel), codeProtocol},
		"reset of no stream":         {appendReset(nil, 0, codeCancel), codeProtocol},
		"push":                       {appendFrame(nil, 0, kindPush, 0, 1), codeProtocol},
		"continuation of nothing":    {appendFrame(nil, 0, kindContinuation, flagEndHeaders, 1), codeProtocol},
		"headers interrupted":        {append(call(1, known[:1], 0), ping(1)...), codeProtocol},
		"compression out of range":   {call(1, []byte{0x80 | 100}, flagEndHeaders), codeCompression},
		"compression of a large int": {call(1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, flagEndHeaders), codeCompression},
		"trailers that do not end":   {append(open, call(1, known[2:3], flagEndHeaders)...), codeProtocol},
		"no settings":                {nil, codeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, addr)
			if name == "no settings" {
				w = newSilent(t, addr)
				tt.send = append([]byte(preface), ping(1)...)
			}
			w.write(t, tt.send)
			w.wantGoAway(t, tt.want)
		})
	}
	newWire(t, addr).call(t, 200)
}

// What makes the server work without a call is bounded (SEC-20): such a client is
// told to calm down, others are served.
func TestFloods(t *testing.T) {
	_, addr := serve(t, &service{})
	repeat := func(b []byte) func(uint32) []byte { return func(uint32) []byte { return b } }
	for name, one := range map[string]func(id uint32) []byte{
		"ping":     repeat(ping(1)),
		"settings": repeat(appendFrame(nil, 0, kindSettings, 0, 0)),
		"priority": repeat(append(appendFrame(nil, 5, kindPriority, 0, 1), 0, 0, 0, 3, 1)),
		"rapid reset": func(id uint32) []byte {
			return append(call(id, known, flagEndHeaders), appendReset(nil, id, codeCancel)...)
		},
		"empty data":       func(id uint32) []byte { return data(1, nil, 0) },
		"data of the dead": func(id uint32) []byte { return data(3, []byte{0}, 0) },
		"malformed": func(id uint32) []byte {
			return call(id, []byte{0x83, 0x83, 0x86, 0x84}, flagEndHeaders)
		},
		"headers without end": func(id uint32) []byte {
			if id == 5 {
				return call(id, nil, 0)
			}
			return append(appendFrame(nil, 1, kindContinuation, 0, 5), 0x83)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, addr)
			w.open(t)
			w.write(t, append(call(3, known, flagEndHeaders), appendReset(nil, 3, codeCancel)...))
			go func() {
				for id := uint32(5); id < 200000; id += 2 {
					if _, err := w.Write(one(id)); err != nil {
						return
					}
				}
			}()
			w.wantGoAway(t, codeCalm)
		})
	}
	newWire(t, addr).call(t, 200)
}

// A client that floods and reads nothing is cut as well, and what it makes us queue
// stays small.
func TestFloodUnread(t *testing.T) {
	s, addr := serve(t, &service{})
	w := newWire(t, addr)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := bytes.Repeat(ping(1), 1000)
		for range 10000 {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the flood goes on")
	}
	for _, c := range s.all() {
		c.mu.Lock()
		if n := c.size(); n > maxControl+2*outLimit {
			t.Errorf("%d bytes are queued for it", n)
		}
		c.mu.Unlock()
	}
}

// Pings are answered with their data, settings are acknowledged, padding and
// priorities are ignored, headers may come in pieces.
func TestPolite(t *testing.T) {
	_, addr := serve(t, &service{})
	w := newWire(t, addr)
	w.until(t, kindSettings)
	w.write(t, ping(42))
	if _, p := w.until(t, kindPing); p[0] != 42 {
		t.Errorf("PING ack = %v, want its data", p)
	}
	w.write(t, appendFrame(nil, 3, kind(0x42), 0xff, 9))
	w.write(t, []byte("any")) // of a later version
	block := requestBlock(unaryPath)
	padded := func(id uint32, p []byte, k kind, flags uint8) []byte {
		b := appendFrame(nil, len(p)+4, k, flags|flagPadded, id)
		return append(append(append(b, 3), p...), 0, 0, 0)
	}
	priority := append([]byte{0, 0, 0, 0, 16}, block[:3]...)
	b := padded(1, priority, kindHeaders, flagPriority)
	for i, piece := range [][]byte{block[3:10], nil, block[10:]} {
		var flags uint8
		if i == 2 {
			flags = flagEndHeaders
		}
		b = append(appendFrame(b, len(piece), kindContinuation, flags, 1), piece...)
	}
	for i := range message200 { // every byte in a frame of its own
		b = append(b, padded(1, message200[i:i+1], kindData, 0)...)
	}
	w.write(t, append(b, data(1, nil, flagEndStream)...))
	_, p := w.until(t, kindData)
	if !bytes.Equal(p, message200) {
		t.Errorf("answer = %x, want the message", p)
	}
}

// An answer is cut into frames that the client takes, and waits for its windows,
// also when they shrink below zero.
func TestWindows(t *testing.T) {
	_, addr := serve(t, &service{}, func(_ *Settings, o *Options) { o.MaxReceive = 1 << 20 })
	w := newSilent(t, addr)
	b := appendFrame([]byte(preface), 6, kindSettings, 0, 0)
	w.write(t, appendSetting(b, settingWindow, 10))
	m := message(100)
	w.write(t, append(call(1, requestBlock(unaryPath), flagEndHeaders), data(1, m, flagEndStream)...))
	var got []byte
	take := func(want int) {
		t.Helper()
		_, p := w.until(t, kindData)
		if got = append(got, p...); len(p) != want {
			t.Errorf("DATA of %d bytes, want %d", len(p), want)
		}
	}
	take(10)
	w.write(t, appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingWindow, 3)) // now -7
	w.until(t, kindSettings)
	w.write(t, appendWindow(nil, 1, 7)) // now 0
	w.write(t, appendWindow(nil, 1, 5))
	take(5)
	w.write(t, appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingWindow, 1000))
	take(len(m) - 15)
	if !bytes.Equal(got, m) {
		t.Error("the answer is not the message")
	}
	if f, _ := w.until(t, kindHeaders); !f.has(flagEndStream) {
		t.Errorf("flags of the trailers = %x, want the end", f.flags)
	}
}

// Who sends more than its window is refused.
func TestTooMuch(t *testing.T) {
	_, addr := serve(t, &service{stream: func(st grpc.ServerStream) error { <-st.Context().Done(); return nil }})
	w := newWire(t, addr)
	w.open(t)
	p := message(minFrame - prefixSize - 100)
	var b []byte
	for range 40 { // nobody takes them
		b = append(b, data(1, p, 0)...)
	}
	w.write(t, b)
	if _, p := w.until(t, kindReset); code(binary.BigEndian.Uint32(p)) != codeFlowControl {
		t.Errorf("RST_STREAM %v, want a fault of flow control", p)
	}
}

// Header lists are bounded; the connection goes on, with its compression in step.
func TestLargeHeaders(t *testing.T) {
	_, addr := serve(t, &service{})
	w := newWire(t, addr)
	block := appendText(appendText(append(requestBlock(unaryPath), 0x40), "x-large"), strings.Repeat("x", 3000))
	for range 8 {
		block = append(block, 0x80|62)
	}
	w.block = nil
	w.write(t, call(1, block, flagEndHeaders|flagEndStream))
	_, p := w.until(t, kindHeaders)
	if _, err := w.decoder.Write(p); err != nil {
		t.Fatal(err)
	}
	if got := w.field("grpc-status"); got != "8" {
		t.Errorf("grpc-status = %q, want 8", got)
	}
	w.write(t, append(call(3, []byte{0x83, 0x86, 0x80 | 66, 0x80 | 65, 0x80 | 64, 0x80 | 63}, flagEndHeaders), data(3, message200, flagEndStream)...))
	if _, p := w.until(t, kindData); !bytes.Equal(p, message200) {
		t.Error("the call after it is not answered")
	}
}

// What is refused before a handler runs.
func TestRefused(t *testing.T) {
	_, addr := serve(t, &service{}, func(_ *Settings, o *Options) { o.MaxReceive = 1000 })
	field := func(block []byte, name, v string) []byte { return appendField(block, name, v) }
	with := func(path, content string) []byte {
		b := appendText(appendInt([]byte{0x83, 0x86}, 0, 4, 4), path)
		return field(b, "content-type", content)
	}
	good := with(unaryPath, grpcContent)
	for name, tt := range map[string]struct {
		block, body []byte
		http, grpc  string
		message     string
	}{
		"unknown service":     {block: with("/no.Such/Thing", grpcContent), http: "200", grpc: "12", message: "unknown service no.Such"},
		"unknown method":      {block: with("/test.Service/No", grpcContent), http: "200", grpc: "12", message: "unknown method No for service test.Service"},
		"no method":           {block: with("/", grpcContent), http: "200", grpc: "12", message: "malformed method name: /"},
		"another content":     {block: with(unaryPath, "application/json"), http: "415"},
		"content like ours":   {block: with(unaryPath, "application/grpcx"), http: "415"},
		"GET":                 {block: append([]byte{0x82}, good[1:]...), http: "405"},
		"compression":         {block: field(bytes.Clone(good), "grpc-encoding", "gzip"), body: message200, http: "200", grpc: "12", message: "compression gzip is not supported"},
		"compressed anyway":   {block: good, body: append([]byte{1}, message200[1:]...), http: "200", grpc: "13", message: "compressed message without grpc-encoding"},
		"timeout":             {block: field(bytes.Clone(good), "grpc-timeout", "123456789S"), http: "200", grpc: "13", message: "malformed grpc-timeout"},
		"too large":           {block: good, body: message(1001), http: "200", grpc: "8", message: "message of 1004 bytes, at most 1000 are taken"},
		"cut off":             {block: good, body: message200[:100], http: "200", grpc: "13", message: "the message is cut off"},
		"no message":          {block: good, http: "200", grpc: "13", message: "no message"},
		"two messages":        {block: good, body: append(bytes.Clone(message200), message200...), http: "200", grpc: "13", message: "more than one message in a unary call"},
		"unreadable":          {block: good, body: []byte{0, 0, 0, 0, 1, 0xff}, http: "200", grpc: "13"},
		"good, other content": {block: with(unaryPath, "application/grpc+proto"), body: message200, http: "200", grpc: "0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, addr)
			w.write(t, append(call(1, tt.block, flagEndHeaders), data(1, tt.body, flagEndStream)...))
			for {
				f, p := w.until(t, kindHeaders)
				if _, err := w.decoder.Write(p); err != nil {
					t.Fatal(err)
				}
				if f.has(flagEndStream) || tt.grpc == "" {
					break
				}
			}
			if h, g := w.field(":status"), w.field("grpc-status"); h != tt.http || g != tt.grpc {
				t.Errorf("status %q, grpc-status %q, want %q, %q", h, g, tt.http, tt.grpc)
			}
			if got := w.field("grpc-message"); tt.message != "" && got != tt.message {
				t.Errorf("grpc-message = %q, want %q", got, tt.message)
			}
			if accept := w.field("grpc-accept-encoding"); (accept == "identity") != (name == "compression") {
				t.Errorf("grpc-accept-encoding = %q", accept)
			}
		})
	}
}

// Malformed calls are reset, and the connection goes on.
func TestMalformed(t *testing.T) {
	_, addr := serve(t, &service{})
	w := newWire(t, addr)
	w.call(t, 200)
	good := bytes.Clone(known)
	for name, block := range map[string][]byte{
		"no path":          append(bytes.Clone(good[:2]), good[3:]...),
		"twice":            append([]byte{0x83}, good...),
		"late":             append(bytes.Clone(good[1:]), 0x83),
		"unknown pseudo":   appendField(nil, ":x", "y"),
		"response pseudo":  append(bytes.Clone(good[:4]), fieldStatus200, good[4]),
		"upper case":       appendField(bytes.Clone(good), "X-A", "b"),
		"connection":       appendField(bytes.Clone(good), "connection", "close"),
		"te":               appendField(bytes.Clone(good), "te", "gzip"),
		"empty path":       appendText(appendInt(bytes.Clone(good[:2]), 0, 4, 4), ""),
		"length is a word": appendField(bytes.Clone(good), "content-length", "x"),
	} {
		w.write(t, call(w.next, block, flagEndHeaders))
		f, p := w.until(t, kindReset)
		if f.stream != w.next || code(binary.BigEndian.Uint32(p)) != codeProtocol {
			t.Errorf("%s: RST_STREAM of %d %v, want a fault of protocol of %d", name, f.stream, p, w.next)
		}
		w.next += 2
	}
	for _, n := range []string{"3", "400"} {
		w.write(t, append(call(w.next, appendField(bytes.Clone(good), "content-length", n), flagEndHeaders), data(w.next, message200, flagEndStream)...))
		if _, p := w.until(t, kindReset); code(binary.BigEndian.Uint32(p)) != codeProtocol {
			t.Errorf("content-length %s: RST_STREAM %v, want a fault of protocol", n, p)
		}
		w.next += 2
	}
	w.call(t, 200)
}

// A client that wants no table of headers gets none.
func TestNoTable(t *testing.T) {
	_, addr := serve(t, &service{})
	w := newWire(t, addr)
	w.until(t, kindSettings)
	w.call(t, 200)
	w.write(t, appendSetting(appendFrame(nil, 6, kindSettings, 0, 0), settingTable, 0))
	w.until(t, kindSettings)
	w.decoder.SetAllowedMaxDynamicTableSize(0)
	for range 2 {
		w.write(t, append(call(w.next, known, flagEndHeaders), data(w.next, message200, flagEndStream)...))
		w.next += 2
		w.fields = nil
		for range 2 {
			_, p := w.until(t, kindHeaders)
			if _, err := w.decoder.Write(p); err != nil {
				t.Fatalf("headers without a table: %v", err)
			}
		}
		if w.field("grpc-status") != "0" || w.field("content-type") != grpcContent {
			t.Errorf("fields = %v, want a good answer", w.fields)
		}
	}
}

// A reset cancels the context of the handler; handlers that do not care count among
// the calls of the connection until they have ended.
func TestCancel(t *testing.T) {
	started, release, cancelled := make(chan struct{}, maxStreams), make(chan struct{}), make(chan struct{}, maxStreams)
	_, addr := serve(t, &service{unary: func(ctx context.Context, v *value) (*value, error) {
		started <- struct{}{}
		<-ctx.Done()
		cancelled <- struct{}{}
		<-release
		return v, nil
	}})
	w := newWire(t, addr)
	block := w.block
	for range maxStreams {
		w.write(t, append(call(w.next, block, flagEndHeaders), data(w.next, message200, flagEndStream)...))
		block = known
		<-started
		w.write(t, appendReset(nil, w.next, codeCancel))
		w.next += 2
		<-cancelled
	}
	w.write(t, call(w.next, known, flagEndHeaders))
	if _, p := w.until(t, kindReset); code(binary.BigEndian.Uint32(p)) != codeRefused {
		t.Errorf("RST_STREAM %v, want the stream refused", p)
	}
	close(release)
}
