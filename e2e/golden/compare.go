package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// comparer collects the differences of one step.
type comparer struct {
	step     *step
	problems []string
}

func (c *comparer) add(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// compare lists how got differs from want.
func compare(s *step, want, got *answer) []string {
	c := &comparer{step: s}
	if want.Status != got.Status {
		c.add("status: expected %d, got %d %s", want.Status, got.Status, show(got))
		return c.problems
	}
	if want.Any {
		return nil
	}
	c.headers(want, got)
	c.body(want, got)
	return c.problems
}

// separator is compared without the blank that some servers put behind it.
var separator = regexp.MustCompile(`;\s*`)

func (c *comparer) headers(want, got *answer) {
	for k, v := range want.Headers {
		have := got.Headers[k]
		switch {
		case v == nil && have != nil:
			c.add("header %s: expected none, got %q", k, *have)
		case v == nil:
		case have == nil:
			c.add("header %s: missing (expected %q)", k, *v)
		case matches("header:"+k, c.step.Volatile):
		case !strings.EqualFold(separator.ReplaceAllString(*have, ";"), separator.ReplaceAllString(*v, ";")):
			c.add("header %s: expected %q, got %q", k, *v, *have)
		}
	}
}

func (c *comparer) body(want, got *answer) {
	volatileText := matches("text", c.step.Volatile)
	switch {
	case want.body() != got.body():
		if want.body() != "text" || !volatileText {
			c.add("body: expected %s %s, got %s %s", want.body(), show(want), got.body(), show(got))
		}
	case want.hasJSON:
		c.json("", want.JSON, got.JSON)
	case !volatileText && !sameBytes(want, got):
		c.add("body: expected %s, got %s", show(want), show(got))
	}
}

// sameBytes compares bodies that are not JSON and of one kind.
func sameBytes(want, got *answer) bool {
	if want.Text != nil {
		return *want.Text == *got.Text
	}
	return bytes.Equal(want.Base64, got.Base64)
}

// shown is how much of a body or value a message holds.
const shown = 300

// show renders a body for a message.
func show(a *answer) string {
	switch {
	case a.hasJSON:
		return short(a.JSON)
	case a.Text != nil:
		return cut(strconv.Quote(*a.Text))
	default:
		return cut(strconv.Quote(string(a.Base64)))
	}
}

func cut(s string) string {
	if len(s) > shown {
		return s[:shown] + "…"
	}
	return s
}

func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return cut(string(b))
}

func (c *comparer) json(path string, want, got any) {
	if matches(path, c.step.Volatile) {
		if kind(want) != kind(got) {
			c.add("%s: expected a %s, got %s", root(path), kind(want), short(got))
		}
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			c.object(path, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			c.list(path, w, g)
			return
		}
	}
	if !equal(want, got) {
		c.add("%s: expected %s, got %s", root(path), short(want), short(got))
	}
}

func (c *comparer) object(path string, want, got map[string]any) {
	for k, w := range want {
		p := path + "/" + escape(k)
		g, ok := got[k]
		switch {
		case ok:
			c.json(p, w, g)
		case !matches(p, c.step.Optional):
			c.add("%s: missing (expected %s)", p, short(w))
		}
	}
	if c.step.Subset {
		return
	}
	for k, g := range got {
		p := path + "/" + escape(k)
		if _, ok := want[k]; !ok && !matches(p, c.step.Optional) {
			c.add("%s: unexpected %s", p, short(g))
		}
	}
}

func (c *comparer) list(path string, want, got []any) {
	if len(want) != len(got) {
		c.add("%s: expected %d items, got %d: %s", root(path), len(want), len(got), short(got))
		return
	}
	if !matches(path, c.step.Unordered) {
		for i := range want {
			c.json(path+"/"+strconv.Itoa(i), want[i], got[i])
		}
		return
	}
	left := append([]any(nil), got...)
next:
	for _, w := range want {
		for i, g := range left {
			try := &comparer{step: c.step}
			if try.json(path+"/0", w, g); len(try.problems) == 0 {
				left = append(left[:i], left[i+1:]...)
				continue next
			}
		}
		c.add("%s: nothing matches %s in %s", root(path), short(w), short(left))
		return
	}
}

func root(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

func escape(key string) string { return escaper.Replace(key) }

// equal compares scalars; numbers by value.
func equal(want, got any) bool {
	w, ok1 := want.(json.Number)
	g, ok2 := got.(json.Number)
	if !ok1 || !ok2 {
		return kind(want) == kind(got) && want == got
	}
	if w == g {
		return true
	}
	x, ok1 := new(big.Rat).SetString(w.String())
	y, ok2 := new(big.Rat).SetString(g.String())
	return ok1 && ok2 && x.Cmp(y) == 0
}

func kind(v any) string {
	switch v.(type) {
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "string"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return "null"
}

// matches says whether a pointer fits one of the patterns: * stands for one
// part, a last ** for everything below.
func matches(path string, patterns []string) bool {
	parts := strings.Split(path, "/")
	for _, p := range patterns {
		if fits(strings.Split(p, "/"), parts) {
			return true
		}
	}
	return false
}

func fits(pattern, parts []string) bool {
	if last := len(pattern) - 1; pattern[last] == "**" {
		if len(parts) < last {
			return false
		}
		pattern, parts = pattern[:last], parts[:last]
	}
	if len(pattern) != len(parts) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != parts[i] {
			return false
		}
	}
	return true
}

// point finds a value in an answer by its pointer.
func point(a *answer, pointer string) (any, error) {
	if name, ok := strings.CutPrefix(pointer, "header:"); ok {
		if v := a.Headers[strings.ToLower(name)]; v != nil {
			return *v, nil
		}
		return nil, fmt.Errorf("no header %s", name)
	}
	if pointer == "text" {
		if a.Text != nil {
			return *a.Text, nil
		}
		return nil, fmt.Errorf("no text")
	}
	node := a.JSON
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch x := node.(type) {
		case map[string]any:
			v, ok := x[token]
			if !ok {
				return nil, fmt.Errorf("nothing at %s", pointer)
			}
			node = v
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(x) {
				return nil, fmt.Errorf("nothing at %s", pointer)
			}
			node = x[i]
		default:
			return nil, fmt.Errorf("nothing at %s", pointer)
		}
	}
	return node, nil
}
