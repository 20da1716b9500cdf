package configrpc_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
)

// line is one line of a scenario: what a client does and what must come of it.
//
//	{"step": "says what follows"}
//	{"conn": 1, "open": "10.9.9.9"}                      a transport of a client with this address
//	{"conn": 1, "call": "T", "headers": {}, "body": {},
//	 "expect": "T", "answer": {}}                        a unary call and its answer
//	{"conn": 1, "send": "T", "body": {}}                 a message on the stream
//	{"conn": 1, "until": "T"}                            health checks until they are answered so
//	{"conn": 1, "pushed": "T", "answer": {}}             the next message of the server
//	{"conn": 1, "ack": "T", "body": {}}                  a message with the request id of the last push
//	{"conn": 1, "none": true}                            nothing was pushed until now
//	{"conn": 1, "close": true}                           the transport ends
//
// "text" stands for a body that is no JSON, "$long N" in a text for N letters.
// In answers <id>, <connection> and <time> match what differs each time.
type line struct {
	Step    string            `json:"step"`
	Conn    int               `json:"conn"`
	Open    *string           `json:"open"`
	Call    *string           `json:"call"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Text    *string           `json:"text"`
	Expect  string            `json:"expect"`
	Answer  json.RawMessage   `json:"answer"`
	Send    string            `json:"send"`
	Until   string            `json:"until"`
	Pushed  string            `json:"pushed"`
	Ack     string            `json:"ack"`
	None    bool              `json:"none"`
	Close   bool              `json:"close"`
}

// Scenarios follow what real clients and servers say to each other, one file a
// group of rows (STY-65).
func TestScenario(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := &player{rig: newRig(t, authmap.Switches{}), clients: map[int]*client{}}
			scanner := bufio.NewScanner(f)
			for n := 1; scanner.Scan(); n++ {
				var l line
				d := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
				d.DisallowUnknownFields()
				if err := d.Decode(&l); err != nil {
					t.Fatalf("%s:%d: %v", file, n, err)
				}
				p.where = fmt.Sprintf("%s:%d (%s)", filepath.Base(file), n, p.step)
				p.play(t, &l)
			}
			if err := scanner.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type player struct {
	rig     *rig
	clients map[int]*client
	step    string
	where   string
}

func (p *player) play(t *testing.T, l *line) {
	t.Helper()
	if l.Step != "" {
		p.step = l.Step
		return
	}
	if l.Open != nil {
		p.clients[l.Conn] = p.rig.dial(t, *l.Open)
		return
	}
	c := p.clients[l.Conn]
	if c == nil {
		t.Fatalf("%s: connection %d is not open", p.where, l.Conn)
	}
	c.t = t
	switch {
	case l.Call != nil:
		kind, body := c.call(*l.Call, l.Headers, l.bytes())
		p.compare(t, l.Expect, l.Answer, kind, body)
	case l.Send != "":
		c.send(l.Send, l.bytes())
	case l.Until != "":
		eventually(t, p.where, func() bool {
			kind, _ := c.call("HealthCheckRequest", nil, []byte("{}"))
			return kind == l.Until
		})
	case l.Pushed != "":
		m := c.next()
		p.compare(t, l.Pushed, l.Answer, m.GetMetadata().GetType(), m.GetBody().GetValue())
		var id struct {
			ID string `json:"requestId"`
		}
		if json.Unmarshal(m.GetBody().GetValue(), &id) == nil {
			c.lastPsh = id.ID
		}
	case l.Ack != "":
		c.send(l.Ack, bytes.ReplaceAll(l.bytes(), []byte("<id>"), []byte(c.lastPsh)))
	case l.None:
		p.none(t, c, l.Conn)
	case l.Close:
		before := p.rig.server.Count()
		_ = c.conn.Close()
		eventually(t, p.where, func() bool { return p.rig.server.Count() < before })
	default:
		t.Fatalf("%s: says nothing", p.where)
	}
}

// none proves that nothing is on its way: a push that is caused now is the next
// message.
func (p *player) none(t *testing.T, c *client, conn int) {
	t.Helper()
	name := fmt.Sprintf("fence-%d-%d", conn, c.fences)
	c.fences++
	c.call("ConfigBatchListenRequest", nil, jsonOf(t, map[string]any{
		"configListenContexts": []any{map[string]any{"dataId": name, "group": "G", "md5": ""}},
	}))
	p.rig.publish(t, name, "", "x")
	m := c.next()
	var got struct {
		DataID string `json:"dataId"`
		ID     string `json:"requestId"`
	}
	if err := json.Unmarshal(m.GetBody().GetValue(), &got); err != nil {
		t.Fatalf("%s: pushed %s: %v", p.where, m.GetBody().GetValue(), err)
	}
	if got.DataID != name {
		t.Errorf("%s: pushed %s, want nothing", p.where, m.GetBody().GetValue())
	}
	c.send("ConfigChangeNotifyResponse", jsonOf(t, map[string]any{"resultCode": 200, "requestId": got.ID}))
}

// bytes is the body of a message.
func (l *line) bytes() []byte {
	if l.Text != nil {
		return []byte(*l.Text)
	}
	return long.ReplaceAllFunc(l.Body, func(m []byte) []byte {
		var n int
		_, _ = fmt.Sscanf(string(m), "$long %d", &n)
		return bytes.Repeat([]byte("d"), n)
	})
}

var long = regexp.MustCompile(`\$long \d+`)

// compare looks at every key of a body.
func (p *player) compare(t *testing.T, wantKind string, want json.RawMessage, gotKind string, got []byte) {
	t.Helper()
	if gotKind != wantKind {
		t.Fatalf("%s: answered %s %s, want %s", p.where, gotKind, got, wantKind)
	}
	var w, g any
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatalf("%s: answer of the scenario: %v", p.where, err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %s is no JSON: %v", p.where, got, err)
	}
	if !matches(w, g) {
		t.Errorf("%s: answered %s\n got %s\nwant %s", p.where, gotKind, got, want)
	}
}

var connectionID = regexp.MustCompile(`^\d{13}_127\.0\.0\.1_\d+$`) // NAC-TRN-11

func matches(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for k, w := range want {
			if v, there := g[k]; !there || v == nil || !matches(w, v) { // NAC-TRN-07: never null
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for i := range want {
			if !matches(want[i], g[i]) {
				return false
			}
		}
		return true
	case string:
		text, _ := got.(string)
		switch want {
		case "<id>":
			return regexp.MustCompile(`^[1-9]\d*$`).MatchString(text) // NAC-PSH-01
		case "<connection>":
			return connectionID.MatchString(text)
		case "<time>":
			ms, ok := got.(float64)
			return ok && ms > 1.7e12
		}
	}
	return reflect.DeepEqual(want, got)
}
