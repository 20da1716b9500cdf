package stream

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// payload reads a message back the way clients do.
func (m *message) payload(tb testing.TB) *nacospb.Payload {
	tb.Helper()
	b, err := newCodec().Marshal(m)
	if err != nil {
		tb.Fatalf("Marshal() = %v", err)
	}
	p := new(nacospb.Payload)
	if err := proto.Unmarshal(b.Materialize(), p); err != nil {
		tb.Fatalf("Unmarshal() = %v", err)
	}
	return p
}

func (m *message) body(tb testing.TB) string {
	tb.Helper()
	return string(m.payload(tb).GetBody().GetValue())
}

// NAC-TRN-02..04, NAC-PSH-01: a message is the Payload that protobuf reads,
// whatever it is made of, and a request id is part of its JSON.
func TestMessage(t *testing.T) {
	long := `"x":"` + strings.Repeat("é", joined) + `"`
	for name, tt := range map[string]struct {
		message message
		kind    string
		ip      string
		body    string
	}{
		"answer":        {message{kind: "A", parts: [3][]byte{[]byte(`{"a":1}`)}}, "A", "", `{"a":1}`},
		"three parts":   {message{kind: "B", parts: [3][]byte{[]byte(`{`), []byte(`"b":2`), []byte(`}`)}}, "B", "", `{"b":2}`},
		"middle only":   {message{kind: "B", parts: [3][]byte{nil, []byte(`{}`), nil}}, "B", "", `{}`},
		"push":          {message{kind: "C", from: "10.0.0.1", request: 1234567, parts: [3][]byte{[]byte(`"m":"n"}`)}}, "C", "10.0.0.1", `{"requestId":"1234567","m":"n"}`},
		"long answer":   {message{kind: "D", parts: [3][]byte{[]byte(`{`), []byte(long), []byte(`}`)}}, "D", "", `{` + long + `}`},
		"long push":     {message{kind: "E", from: "h", request: 1<<64 - 1, parts: [3][]byte{[]byte(long + `}`)}}, "E", "h", `{"requestId":"18446744073709551615",` + long + `}`},
		"empty":         {message{kind: "F"}, "F", "", ""},
		"name of 200":   {message{kind: strings.Repeat("T", 200), parts: [3][]byte{[]byte(`{}`)}}, strings.Repeat("T", 200), "", `{}`},
		"at the border": {message{kind: "G", parts: [3][]byte{bytes.Repeat([]byte(" "), joined), []byte(" ")}}, "G", "", strings.Repeat(" ", joined+1)},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.message.payload(t)
			if p.GetMetadata().GetType() != tt.kind || p.GetMetadata().GetClientIp() != tt.ip {
				t.Errorf("metadata = %v, want %s from %q", p.GetMetadata(), tt.kind, tt.ip)
			}
			if got := string(p.GetBody().GetValue()); got != tt.body {
				t.Errorf("body = %.80q, want %.80q", got, tt.body)
			}
			if p.GetBody().GetTypeUrl() != "" || len(p.GetMetadata().GetHeaders()) != 0 {
				t.Errorf("payload = %v, want neither a type url nor headers", p)
			}
			if tt.message.request != 0 && !json.Valid(p.GetBody().GetValue()) {
				t.Errorf("body = %.80q is no JSON", p.GetBody().GetValue())
			}
		})
	}
}

// ENG-08: a long part is handed on as it is, not copied.
func TestMessageShares(t *testing.T) {
	shared := bytes.Repeat([]byte("x"), 1<<20)
	m := message{kind: "A", request: 7, parts: [3][]byte{shared}}
	b := m.marshal()
	found := false
	for _, part := range b {
		data := part.ReadOnlyData()
		found = found || len(data) > 0 && &data[0] == &shared[0]
	}
	if !found {
		t.Error("marshal() copied the shared part")
	}
	if n := testing.AllocsPerRun(100, func() { m.marshal() }); n > 6 {
		t.Errorf("marshal() makes %.0f allocations, want at most 6", n)
	}
}

// The codec still speaks plain protobuf, for requests and for other services on
// the same port.
func TestCodecProtobuf(t *testing.T) {
	c := newCodec()
	in := &nacospb.Payload{Metadata: &nacospb.Metadata{Type: "X", Headers: map[string]string{"a": "b"}}}
	b, err := c.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := new(nacospb.Payload)
	if err := c.Unmarshal(b, out); err != nil || !proto.Equal(in, out) {
		t.Errorf("Unmarshal() = %v, %v, want %v", out, err, in)
	}
	if _, err := c.Marshal("text"); err == nil {
		t.Error("Marshal() of a text = nil, want an error")
	}
}
