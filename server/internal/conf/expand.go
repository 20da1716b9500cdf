package conf

import (
	"fmt"
	"strings"
)

// maxDepth bounds placeholders inside placeholders, and so ends cycles.
const maxDepth = 8

// expand replaces ${key:default} by the value of key, or by the default.
func expand(text string, all map[string]setting) (string, error) {
	for range maxDepth {
		start := strings.Index(text, "${")
		if start < 0 {
			return text, nil
		}
		length := strings.IndexByte(text[start:], '}')
		if length < 0 {
			return "", fmt.Errorf("placeholder without end in %q", text[start:])
		}
		key, fallback, hasFallback := strings.Cut(text[start+2:start+length], ":")
		s, ok := all[key]
		switch {
		case ok:
			fallback = fmt.Sprint(s.value)
		case !hasFallback:
			return "", fmt.Errorf("placeholder ${%s}: no such key and no default", key)
		}
		text = text[:start] + fallback + text[start+length+1:]
	}
	if strings.Contains(text, "${") {
		return "", fmt.Errorf("placeholders nested deeper than %d", maxDepth)
	}
	return text, nil
}
