package golden

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mark tells the server below which step a request belongs to.
const mark = "X-Golden-Step"

// parrot answers each step of a scenario as recorded, after spoil changed the
// answer, and complains about requests that are not the recorded ones.
type parrot struct {
	t     *testing.T
	steps map[string]*step
	spoil func(*answer)
}

func (p parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := p.steps[r.Header.Get(mark)]
	if s == nil {
		p.t.Errorf("request %s %s belongs to no step", r.Method, r.URL)
		return
	}
	if got, want := r.URL.RawQuery, s.Request.Query.encode(); s.Request.Query != nil && !strings.HasSuffix(got, want) {
		p.t.Errorf("%s: query = %q, want %q", s.ID, got, want)
	}
	if want := s.Request.Form; want != nil {
		body, err := io.ReadAll(r.Body)
		got, err2 := url.ParseQuery(string(body))
		if err != nil || err2 != nil || !maps.EqualFunc(got, want.values(), slices.Equal) {
			p.t.Errorf("%s: form = %v, %v, %v, want %v", s.ID, got, err, err2, want.values())
		}
	}
	a := *s.expected()
	p.spoil(&a)
	w.Header()["Content-Type"] = nil // none unless recorded
	if a.hasJSON {
		w.Header().Set("Content-Type", "text/x+json")
	}
	for k, v := range a.Headers {
		if v != nil {
			w.Header().Set(k, *v)
		}
	}
	w.WriteHeader(a.Status)
	body := a.Base64
	switch {
	case a.hasJSON:
		body, _ = json.Marshal(a.JSON)
	case a.Text != nil:
		body = []byte(*a.Text)
	}
	_, _ = w.Write(body)
}

func (f fields) values() url.Values {
	v := url.Values{}
	for _, x := range f {
		v.Add(x.name, x.value)
	}
	return v
}

func (s *step) expected() *answer {
	if s.Ours != nil && s.Ours.Response != nil {
		return s.Ours.Response
	}
	return s.Response
}

// TestRecordedAnswersPass: a server that answers every step as recorded has no
// problem, and one that answers otherwise has one at each step that looks at
// what is wrong. Times are left out.
func TestRecordedAnswersPass(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v, want scenarios", files, err)
	}
	other := "something else"
	spoilers := map[string]struct {
		spoil func(*answer)
		seen  func(*step) bool
	}{
		"as recorded": {func(*answer) {}, func(*step) bool { return false }},
		"status":      {func(a *answer) { a.Status += 5 }, func(*step) bool { return true }},
		"body": {
			func(a *answer) { a.hasJSON, a.Base64, a.Text = false, nil, &other },
			func(s *step) bool {
				head := s.Request != nil && s.Request.Method == http.MethodHead
				anyText := slices.Contains(s.Volatile, "text") && s.expected().Text != nil
				return !head && !s.expected().Any && !anyText
			},
		},
		"headers": {
			func(a *answer) { a.Headers = nil },
			func(s *step) bool {
				for _, v := range s.expected().Headers {
					if v != nil {
						return true
					}
				}
				return false
			},
		},
	}
	for name, tt := range spoilers {
		t.Run(name, func(t *testing.T) {
			for _, file := range files {
				playParrot(t, file, tt.spoil, tt.seen)
			}
		})
	}
}

func playParrot(t *testing.T, file string, spoil func(*answer), seen func(*step) bool) {
	t.Helper()
	s, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]*step{}
	for i := range s.steps {
		st := &s.steps[i]
		st.WaitMS, st.MinMS, st.MaxMS = 0, nil, nil
		if st.Request == nil {
			continue
		}
		if st.Request.Headers == nil {
			st.Request.Headers = map[string]string{}
		}
		st.Request.Headers[mark] = st.ID
		by[st.ID] = st
	}
	for i := range s.steps {
		if join := s.steps[i].Join; join != "" {
			for _, st := range by {
				if st.Start == join {
					st.Response, st.Ours = s.steps[i].Response, s.steps[i].Ours
				}
			}
		}
	}
	srv := httptest.NewServer(parrot{t, by, spoil})
	defer srv.Close()
	p := &player{o: Options{Bases: map[string]string{"main": srv.URL, "console": srv.URL}, Timeout: 5 * time.Second}, captured: map[string]any{}, running: map[string]chan outcome{}}
	for i := range s.steps {
		st := &s.steps[i]
		problems := p.play(st)
		if want := st.Start == "" && seen(st); (len(problems) > 0) != want {
			t.Errorf("%s %s: problems = %q, want some: %t", s.Name, st.ID, problems, want)
		}
	}
}
