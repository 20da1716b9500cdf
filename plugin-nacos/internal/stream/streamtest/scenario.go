package streamtest

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
)

// Line is one line of a scenario: what a client does and what must come of it.
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
// In answers <id>, <connection> and <time> match what differs each time, as do
// <connection> inside a longer text, and <number> at its beginning.
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

// Site is the server that a scenario is played against.
type Site interface {
	// Dial opens a transport of a client with an address.
	Dial(tb testing.TB, ip string) *Client
	// Count is the number of registered connections.
	Count() int
	// Fence causes a push to a client and takes it: it must be the next message.
	// n is different each time; where says which line wants it.
	Fence(tb testing.TB, c *Client, n int, where string)
}

// Play plays each scenario of a folder against a site of its own: what real
// clients and servers say to each other, one file a group of rows (STY-65).
func Play(t *testing.T, folder string, site func(testing.TB) Site) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob(%s) = %v, %v", folder, files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := &player{site: site(t), clients: map[int]*Client{}}
			scanner := bufio.NewScanner(f)
			scanner.Buffer(nil, 1<<20)
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
	site    Site
	clients map[int]*Client
	step    string
	where   string
	fences  int
}

func (p *player) play(t *testing.T, l *line) {
	t.Helper()
	if l.Step != "" {
		p.step = l.Step
		return
	}
	if l.Open != nil {
		p.clients[l.Conn] = p.site.Dial(t, *l.Open)
		return
	}
	c := p.clients[l.Conn]
	if c == nil {
		t.Fatalf("%s: connection %d is not open", p.where, l.Conn)
	}
	switch {
	case l.Call != nil:
		kind, body := c.Call(*l.Call, l.Headers, l.bytes())
		p.compare(t, l.Expect, l.Answer, kind, body)
	case l.Send != "":
		c.Send(l.Send, l.bytes())
	case l.Until != "":
		Eventually(t, p.where, func() bool {
			kind, _ := c.Call("HealthCheckRequest", nil, []byte("{}"))
			return kind == l.Until
		})
	case l.Pushed != "":
		m := c.Next()
		p.compare(t, l.Pushed, l.Answer, m.GetMetadata().GetType(), m.GetBody().GetValue())
	case l.Ack != "":
		c.Send(l.Ack, bytes.ReplaceAll(l.bytes(), []byte("<id>"), []byte(c.lastID)))
	case l.None:
		p.fences++
		p.site.Fence(t, c, p.fences, p.where)
	case l.Close:
		before := p.site.Count()
		_ = c.Conn.Close()
		Eventually(t, p.where, func() bool { return p.site.Count() < before })
	default:
		t.Fatalf("%s: says nothing", p.where)
	}
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

var (
	requestID     = regexp.MustCompile(`^[1-9]\d*$`)                // NAC-PSH-01
	connectionID  = regexp.MustCompile(`^\d{13}_127\.0\.0\.1_\d+$`) // NAC-TRN-11
	number        = regexp.MustCompile(`^\d{10,}`)
	connectionIDs = regexp.MustCompile(`\d{13}_127\.0\.0\.1_\d+`) // inside a text
)

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
		return matchesText(want, got)
	}
	return reflect.DeepEqual(want, got)
}

func matchesText(want string, got any) bool {
	text, _ := got.(string)
	switch want {
	case "<id>":
		return requestID.MatchString(text)
	case "<connection>":
		return connectionID.MatchString(text)
	case "<time>":
		ms, ok := got.(float64)
		return ok && ms > 1.7e12
	}
	if strings.Contains(want, "<connection>") {
		text = connectionIDs.ReplaceAllString(text, "<connection>")
	}
	if strings.HasPrefix(want, "<number>") {
		text = number.ReplaceAllString(text, "<number>")
	}
	_, isText := got.(string)
	return isText && text == want
}
