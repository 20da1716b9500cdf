package golden

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake answers a few paths in ways that the cases below expect or do not.
func fake(t *testing.T) map[string]string {
	t.Helper()
	release := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		fmt.Fprint(w, `{"id":"77","n":1.0,"list":[2,1],"time":123,"none":null}`)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseMultipartForm(1 << 20)
		w.Header().Set("X-Raw", r.RequestURI)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.FormValue("a"), r.Header.Get("X-H"))
	})
	mux.HandleFunc("/kind", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Twice", "1")
		w.Header().Add("X-Twice", "2")
		fmt.Fprintf(w, "%s %d", r.Header.Get("Content-Type"), r.ContentLength)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[9007199254740992]") })
	mux.HandleFunc("/wait", func(w http.ResponseWriter, _ *http.Request) { <-release; fmt.Fprint(w, "woken") })
	mux.HandleFunc("/wake", func(http.ResponseWriter, *http.Request) { release <- struct{}{} })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return map[string]string{"main": srv.URL}
}

const header = `{"scenario": "self"}` + "\n"

// problems plays lines and returns what the last step found.
func problems(t *testing.T, bases map[string]string, lines ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "self.jsonl")
	if err := os.WriteFile(path, []byte(header+strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{o: Options{Bases: bases, Timeout: 5 * time.Second}, captured: map[string]any{"set": "v"}, running: map[string]chan outcome{}}
	var last []string
	for i := range s.steps {
		last = p.play(&s.steps[i])
	}
	return last
}

func TestPlayer(t *testing.T) {
	bases := fake(t)
	const get = `"request": {"method": "GET", "path": "/json"}`
	full := `{"id": "77", "n": 1, "list": [2, 1], "time": 123, "none": null}`
	tests := map[string]struct {
		lines []string
		want  string // empty: no problem
	}{
		"equal":              {[]string{`{` + get + `, "response": {"status": 200, "headers": {"content-type": "application/json;charset=utf-8"}, "json": ` + full + `}}`}, ""},
		"status":             {[]string{`{` + get + `, "response": {"status": 404, "json": ` + full + `}}`}, "status: expected 404"},
		"any":                {[]string{`{` + get + `, "response": {"status": 200, "any": true, "text": "x"}}`}, ""},
		"header value":       {[]string{`{` + get + `, "response": {"status": 200, "headers": {"content-type": "text/plain"}, "json": ` + full + `}}`}, "header content-type"},
		"header missing":     {[]string{`{` + get + `, "response": {"status": 200, "headers": {"x-y": "z"}, "json": ` + full + `}}`}, "header x-y: missing"},
		"header must not be": {[]string{`{` + get + `, "response": {"status": 200, "headers": {"content-type": null}, "json": ` + full + `}}`}, "expected none"},
		"header volatile":    {[]string{`{` + get + `, "volatile": ["header:date"], "response": {"status": 200, "headers": {"date": "x"}, "json": ` + full + `}}`}, ""},
		"value":              {[]string{`{` + get + `, "response": {"status": 200, "json": {"id": "78", "n": 1, "list": [2, 1], "time": 123, "none": null}}}`}, "/id: expected"},
		"type":               {[]string{`{` + get + `, "response": {"status": 200, "json": {"id": 77, "n": 1, "list": [2, 1], "time": 123, "none": null}}}`}, "/id: expected"},
		"missing":            {[]string{`{` + get + `, "response": {"status": 200, "json": {"id": "77", "n": 1, "list": [2, 1], "time": 123, "none": null, "more": 1}}}`}, "/more: missing"},
		"optional":           {[]string{`{` + get + `, "optional": ["/more", "/none"], "response": {"status": 200, "json": {"id": "77", "n": 1, "list": [2, 1], "time": 123, "more": 1}}}`}, ""},
		"unexpected":         {[]string{`{` + get + `, "response": {"status": 200, "json": {"id": "77"}}}`}, "unexpected"},
		"subset":             {[]string{`{` + get + `, "subset": true, "response": {"status": 200, "json": {"id": "77"}}}`}, ""},
		"order":              {[]string{`{` + get + `, "subset": true, "response": {"status": 200, "json": {"list": [1, 2]}}}`}, "/list/0: expected"},
		"unordered":          {[]string{`{` + get + `, "subset": true, "unordered": ["/list"], "response": {"status": 200, "json": {"list": [1, 2]}}}`}, ""},
		"unordered other":    {[]string{`{` + get + `, "subset": true, "unordered": ["/list"], "response": {"status": 200, "json": {"list": [1, 3]}}}`}, "nothing matches"},
		"length":             {[]string{`{` + get + `, "subset": true, "response": {"status": 200, "json": {"list": [2]}}}`}, "expected 1 items"},
		"volatile":           {[]string{`{` + get + `, "subset": true, "volatile": ["/time"], "response": {"status": 200, "json": {"time": 9}}}`}, ""},
		"volatile type":      {[]string{`{` + get + `, "subset": true, "volatile": ["/time"], "response": {"status": 200, "json": {"time": "9"}}}`}, "expected a string"},
		"volatile below":     {[]string{`{` + get + `, "subset": true, "volatile": ["/list/**"], "response": {"status": 200, "json": {"list": [7, 8]}}}`}, ""},
		"body kind":          {[]string{`{` + get + `, "response": {"status": 200, "text": "x"}}`}, "expected text"},
		"as text":            {[]string{`{` + get + `, "as": "text", "volatile": ["text"], "response": {"status": 200, "text": "x"}}`}, ""},
		"ours":               {[]string{`{` + get + `, "ours": {"why": "w", "response": {"status": 200, "any": true}}, "response": {"status": 404}}`}, ""},
		"capture": {[]string{
			`{` + get + `, "capture": {"id": "/id"}, "response": {"status": 200, "any": true}}`,
			`{"request": {"method": "GET", "path": "/echo", "query": {"a": "${id}-${set}"}}, "response": {"status": 200, "text": "GET ${id}-v "}}`,
		}, ""},
		"capture nothing": {[]string{`{` + get + `, "capture": {"id": "/nope"}, "response": {"status": 200, "any": true}}`}, "capture id"},
		"raw path":        {[]string{`{"request": {"method": "GET", "path": "/echo?x=%zz"}, "response": {"status": 200, "headers": {"x-raw": "/echo?x=%zz"}, "text": "GET  "}}`}, ""},
		"form":            {[]string{`{"request": {"method": "POST", "path": "/echo", "form": {"a": "x y"}, "headers": {"X-H": "h"}}, "response": {"status": 200, "text": "POST x y h"}}`}, ""},
		"multipart":       {[]string{`{"request": {"method": "POST", "path": "/echo", "multipart": [{"name": "a", "text": "m"}]}, "response": {"status": 200, "text": "POST m "}}`}, ""},
		"empty form":      {[]string{`{"request": {"method": "POST", "path": "/kind", "form": {}}, "response": {"status": 200, "text": "application/x-www-form-urlencoded 0"}}`}, ""},
		"no body":         {[]string{`{"request": {"method": "POST", "path": "/kind"}, "response": {"status": 200, "text": " 0"}}`}, ""},
		"raw bytes":       {[]string{`{"request": {"method": "PUT", "path": "/kind", "base64": "/wA="}, "response": {"status": 200, "text": " 2"}}`}, ""},
		"JSON body":       {[]string{`{"request": {"method": "PUT", "path": "/kind", "json": [1]}, "response": {"status": 200, "text": "application/json 3"}}`}, ""},
		"own kind":        {[]string{`{"request": {"method": "PUT", "path": "/kind", "text": "x", "headers": {"content-type": "a/b"}}, "response": {"status": 200, "text": "a/b 1"}}`}, ""},
		"last of headers": {[]string{`{"request": {"method": "GET", "path": "/kind"}, "response": {"status": 200, "headers": {"x-twice": "2"}, "text": " 0"}}`}, ""},
		"repeated key":    {[]string{`{"request": {"method": "GET", "path": "/echo", "query": {"b": ["1", 2]}}, "response": {"status": 200, "headers": {"x-raw": "/echo?b=1&b=2"}, "text": "GET  "}}`}, ""},
		"big numbers":     {[]string{`{"request": {"method": "GET", "path": "/big"}, "response": {"status": 200, "json": [9007199254740993]}}`}, "/0: expected 9007199254740993"},
		"captured number": {[]string{
			`{` + get + `, "capture": {"n": "/n"}, "response": {"status": 200, "any": true}}`,
			`{` + get + `, "subset": true, "response": {"status": 200, "json": {"n": "${n}"}}}`,
		}, ""},
		"wrong text": {[]string{`{"request": {"method": "GET", "path": "/echo"}, "response": {"status": 200, "text": "x"}}`}, "body: expected"},
		"join": {[]string{
			`{"request": {"method": "GET", "path": "/wait"}, "start": "p"}`,
			`{"request": {"method": "GET", "path": "/wake"}, "response": {"status": 200}}`,
			`{"join": "p", "max_ms": 4000, "response": {"status": 200, "text": "woken"}}`,
		}, ""},
		"too soon":     {[]string{`{` + get + `, "min_ms": 4000, "response": {"status": 200, "any": true}}`}, "expected at least"},
		"no such port": {[]string{`{"port": "console", "request": {"method": "GET", "path": "/"}}`}, "no URL for port console"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(problems(t, bases, tt.lines...), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("problems = %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.tsv")
	if err := os.WriteFile(path, []byte("# note\ns\tstep\tPRD-05\twhy\nother\tx\ty\tz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := differences(path, "s")
	if err != nil || len(got) != 1 || got["step"] != "PRD-05: why" {
		t.Errorf("differences() = %v, %v, want the one step of s", got, err)
	}
	if err := os.WriteFile(path, []byte("s\tstep\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := differences(path, "s"); err == nil {
		t.Error("differences() without a reason = nil error")
	}
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		problems []string
		reason   string
		failures int
		note     string
	}{
		"as recorded":              {nil, "", 0, ""},
		"differs":                  {[]string{"a", "b"}, "", 2, ""},
		"differs as announced":     {[]string{"a", "b"}, "PRD-05: why", 0, "differs on purpose (PRD-05: why): a"},
		"does not, though it must": {nil, "PRD-05: why", 1, ""},
	}
	for name, tt := range tests {
		failures, note := judge(tt.problems, tt.reason)
		if len(failures) != tt.failures || note != tt.note {
			t.Errorf("%s: judge() = %q, %q, want %d failures and %q", name, failures, note, tt.failures, tt.note)
		}
	}
}
