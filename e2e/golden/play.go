package golden

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Options say against what a scenario is played.
type Options struct {
	Bases   map[string]string // port name → base URL; "main" is the default port
	Set     map[string]string // values of ${name}
	Timeout time.Duration     // of one request; 0: 70s
	// NoPauses leaves out the pauses between steps, of a scenario that has them only
	// for what the reference shows late.
	NoPauses bool
}

// Play runs one scenario, each step as a subtest named by its id and rows.
func Play(t *testing.T, path string, o Options) {
	t.Helper()
	s, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	differ, err := differences(filepath.Join(filepath.Dir(path), "differences.tsv"), s.Name)
	if err != nil {
		t.Fatal(err)
	}
	if o.Timeout == 0 {
		o.Timeout = 70 * time.Second
	}
	p := &player{o: o, captured: map[string]any{}, running: map[string]chan outcome{}}
	for k, v := range o.Set {
		p.captured[k] = v
	}
	for i := range s.steps {
		st := &s.steps[i]
		reason := differ[st.ID]
		delete(differ, st.ID)
		name := st.ID
		if len(st.Rows) > 0 {
			name += "[" + strings.Join(st.Rows, ",") + "]"
		}
		t.Run(name, func(t *testing.T) {
			failures, note := judge(p.play(st), reason)
			for _, f := range failures {
				t.Error(f)
			}
			if note != "" {
				t.Log(note)
			}
		})
	}
	for id := range differ {
		t.Errorf("differences.tsv names step %s, which %s does not have", id, s.Name)
	}
}

// judge tells which problems are failures, and what to note of others. A step
// whose difference is announced fails if there is none.
func judge(problems []string, reason string) (failures []string, note string) {
	switch {
	case reason == "":
		return problems, ""
	case len(problems) == 0:
		return []string{"no difference, though one is announced: " + reason}, ""
	}
	return nil, fmt.Sprintf("differs on purpose (%s): %s", reason, problems[0])
}

// differences reads which steps of a scenario differ on purpose: scenario, step,
// row or decision, reason.
func differences(path, scenario string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		if len(c) != 4 || c[2] == "" || c[3] == "" {
			return nil, fmt.Errorf("%s: want scenario, step, row, reason in %q", path, lines.Text())
		}
		if c[0] == scenario {
			out[c[1]] = c[2] + ": " + c[3]
		}
	}
	return out, lines.Err()
}

// player holds what lives from step to step.
type player struct {
	o        Options
	captured map[string]any
	running  map[string]chan outcome
}

type outcome struct {
	reply reply
	err   error
}

// play runs one step and lists its problems.
func (p *player) play(s *step) []string {
	if s.WaitMS > 0 && !p.o.NoPauses {
		<-time.After(time.Duration(s.WaitMS) * time.Millisecond)
	}
	base := p.o.Bases[or(s.Port, "main")]
	if s.Request != nil && base == "" {
		return []string{"no URL for port " + s.Port}
	}
	if s.Start != "" {
		r, ch := substitute(s.Request, p.captured), make(chan outcome, 1)
		p.running[s.Start] = ch
		go func() {
			rep, err := send(base, r, p.o.Timeout)
			ch <- outcome{rep, err}
		}()
		return nil
	}
	var out outcome
	if s.Join != "" {
		ch := p.running[s.Join]
		if ch == nil {
			return []string{"join of " + s.Join + ", which was not started"}
		}
		out = <-ch
	} else {
		out.reply, out.err = send(base, substitute(s.Request, p.captured), p.o.Timeout)
	}
	if out.err != nil {
		return []string{out.err.Error()}
	}
	return p.check(s, out.reply)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// check captures, then compares.
func (p *player) check(s *step, r reply) []string {
	got := r.answer(s.As == "text")
	var problems []string
	for name, pointer := range s.Capture {
		v, err := point(got, pointer)
		if err != nil {
			problems = append(problems, fmt.Sprintf("capture %s: %v", name, err))
			continue
		}
		p.captured[name] = v
	}
	want := s.Response
	if s.Ours != nil && s.Ours.Response != nil {
		want = s.Ours.Response
	}
	if want == nil {
		return append(problems, "nothing recorded")
	}
	problems = append(compare(s, substitute(want, p.captured), got), problems...)
	ms := float64(r.took) / float64(time.Millisecond)
	if s.MinMS != nil && ms < *s.MinMS {
		problems = append(problems, fmt.Sprintf("answered after %.0f ms, expected at least %.0f", ms, *s.MinMS))
	}
	if s.MaxMS != nil && ms > *s.MaxMS {
		problems = append(problems, fmt.Sprintf("answered after %.0f ms, expected at most %.0f", ms, *s.MaxMS))
	}
	return problems
}

var (
	reference = regexp.MustCompile(`\$\{([A-Za-z0-9_]+)\}`)
	whole     = regexp.MustCompile(`^"\$\{([A-Za-z0-9_]+)\}"$`)
)

// substitute returns a copy of a request or an answer with the captured values
// in place of ${name}. A text that is only a reference keeps the value's type.
func substitute[T request | answer](v *T, captured map[string]any) *T {
	if len(captured) == 0 {
		return v
	}
	out := *v
	switch x := any(&out).(type) {
	case *request:
		x.Path = text(x.Path, captured)
		x.Query, x.Form = fill(x.Query, captured), fill(x.Form, captured)
		x.JSON = value(x.JSON, captured)
		if x.Text != nil {
			s := text(*x.Text, captured)
			x.Text = &s
		}
		headers := map[string]string{}
		for k, h := range x.Headers {
			headers[k] = text(h, captured)
		}
		x.Headers = headers
	case *answer:
		x.JSON = value(x.JSON, captured)
		if x.Text != nil {
			s := text(*x.Text, captured)
			x.Text = &s
		}
		headers := map[string]*string{}
		for k, h := range x.Headers {
			if h != nil {
				s := text(*h, captured)
				h = &s
			}
			headers[k] = h
		}
		x.Headers = headers
	}
	return &out
}

func fill(f fields, captured map[string]any) fields {
	if f == nil {
		return nil
	}
	out := make(fields, len(f))
	for i, x := range f {
		out[i] = field{text(x.name, captured), text(x.value, captured)}
	}
	return out
}

func text(s string, captured map[string]any) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if v, ok := captured[ref[2:len(ref)-1]]; ok {
			return fmt.Sprint(v)
		}
		return ref
	})
}

func value(v any, captured map[string]any) any {
	switch x := v.(type) {
	case string:
		if m := whole.FindStringSubmatch(`"` + x + `"`); m != nil {
			if c, ok := captured[m[1]]; ok {
				return c
			}
		}
		return text(x, captured)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = value(x[i], captured)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			out[text(k, captured)] = value(e, captured)
		}
		return out
	case json.Number, bool, nil:
		return v
	}
	return v
}
