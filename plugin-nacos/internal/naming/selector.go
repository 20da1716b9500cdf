package naming

import (
	"strings"

	"github.com/tidwall/gjson"
)

// The types of selectors (NAC-NAM-64).
const (
	SelectNone  = "none"
	SelectLabel = "label"
)

// Selector chooses instances by labels that a CMDB has for consumer and provider;
// without one it chooses all (NAD-NSEM-53), so it is kept and shown.
type Selector struct {
	Type       string
	Expression string // of a label selector
}

// ParseSelector reads a selector; a blank text is none. The error is an *Error
// with reason BadSelector.
func ParseSelector(text string) (Selector, error) {
	if strings.TrimSpace(text) == "" {
		return Selector{Type: SelectNone}, nil
	}
	bad := &Error{BadSelector, "not match any type of selector!"}
	r := gjson.Parse(text)
	if !gjson.Valid(text) || !r.IsObject() {
		return Selector{}, bad
	}
	switch s := (Selector{Type: r.Get("type").String(), Expression: r.Get("expression").String()}); s.Type {
	case SelectNone:
		return Selector{Type: SelectNone}, nil
	case SelectLabel:
		if _, ok := s.parse(); !ok {
			return Selector{}, bad
		}
		return s, nil
	}
	return Selector{}, bad
}

// Labels are the names that a label selector compares, in their order.
func (s Selector) Labels() []string {
	labels, _ := s.parse()
	return labels
}

// parse reads CONSUMER.label.x = PROVIDER.label.x, joined by &.
func (s Selector) parse() ([]string, bool) {
	var out []string
	for part := range strings.SplitSeq(s.Expression, "&") {
		left, right, ok := strings.Cut(part, "=")
		consumer, isConsumer := strings.CutPrefix(strings.TrimSpace(left), "CONSUMER.label.")
		provider, isProvider := strings.CutPrefix(strings.TrimSpace(right), "PROVIDER.label.")
		if !ok || !isConsumer || !isProvider || consumer == "" || consumer != provider {
			return nil, false
		}
		out = append(out, consumer)
	}
	return out, true
}

// stored is the text that core keeps; blank for none.
func (s Selector) stored() string {
	if s.Type != SelectLabel {
		return ""
	}
	return s.Expression
}

func storedSelector(text string) Selector {
	if text == "" {
		return Selector{Type: SelectNone}
	}
	return Selector{Type: SelectLabel, Expression: text}
}
