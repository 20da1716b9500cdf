package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// scenario is one file.
type scenario struct {
	Name  string `json:"scenario"`
	steps []step
}

// step is one line of a scenario.
type step struct {
	ID        string            `json:"id"`
	Rows      []string          `json:"rows"`
	Port      string            `json:"port"`
	Request   *request          `json:"request"`
	Response  *answer           `json:"response"`
	Ours      *ours             `json:"ours"`
	Volatile  []string          `json:"volatile"`
	Unordered []string          `json:"unordered"`
	Optional  []string          `json:"optional"`
	Subset    bool              `json:"subset"`
	As        string            `json:"as"`
	Capture   map[string]string `json:"capture"`
	Start     string            `json:"start"`
	Join      string            `json:"join"`
	MinMS     *float64          `json:"min_ms"`
	MaxMS     *float64          `json:"max_ms"`
	WaitMS    int               `json:"wait_ms"`
}

// ours is an answer that differs on purpose.
type ours struct {
	Why      string  `json:"why"`
	Response *answer `json:"response"`
}

// request is what a step sends. At most one body field is set.
type request struct {
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Query     fields            `json:"query"`
	Form      fields            `json:"form"`
	JSON      any               `json:"json"`
	Text      *string           `json:"text"`
	Base64    []byte            `json:"base64"`
	Multipart []part            `json:"multipart"`
	Headers   map[string]string `json:"headers"`
}

type part struct {
	Name     string  `json:"name"`
	Filename *string `json:"filename"`
	Type     string  `json:"type"`
	Text     string  `json:"text"`
	Base64   []byte  `json:"base64"`
}

// answer is what a step expects, or what came. Of JSON, Text and Base64 one is
// set, or none for an empty body.
type answer struct {
	Status  int                `json:"status"`
	Headers map[string]*string `json:"headers"`
	JSON    any                `json:"json"`
	Text    *string            `json:"text"`
	Base64  []byte             `json:"base64"`
	Any     bool               `json:"any"`

	hasJSON bool // the JSON may be null
}

// UnmarshalJSON notes whether there is a key json.
func (a *answer) UnmarshalJSON(b []byte) error {
	type plain answer
	if err := decode(b, (*plain)(a)); err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return err
	}
	_, a.hasJSON = keys["json"]
	return nil
}

// body names the kind of the body.
func (a *answer) body() string {
	switch {
	case a.hasJSON:
		return "json"
	case a.Text != nil:
		return "text"
	case a.Base64 != nil:
		return "base64"
	}
	return "empty"
}

// fields keeps the order of an object's keys; a list as value repeats the key.
type fields []field

type field struct{ name, value string }

// UnmarshalJSON reads an object.
func (f *fields) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return err
	}
	*f = fields{} // an empty form is a body, none is not
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, x := range list {
			*f = append(*f, field{fmt.Sprint(name), plain(x)})
		}
	}
	return nil
}

// plain renders a value of a form; the recordings write booleans as a script
// language does.
func plain(v any) string {
	switch x := v.(type) {
	case bool:
		if x {
			return "True"
		}
		return "False"
	case nil:
		return "None"
	default:
		return fmt.Sprint(x)
	}
}

// decode keeps numbers as they are written.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// load reads a scenario.
func load(path string) (*scenario, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s scenario
	for i, line := range bytes.Split(b, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if i == 0 {
			if err := decode(line, &s); err != nil {
				return nil, fmt.Errorf("%s: line 1: %w", path, err)
			}
			continue
		}
		var st step
		if err := decode(line, &st); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
		s.steps = append(s.steps, st)
	}
	return &s, nil
}
