package conf

import (
	"strings"
	"time"
)

// Values is the loaded configuration. Accessors panic on a name that is not in
// Keys or has another kind: that is a programmer's error.
type Values struct {
	// Plugins holds the raw section of each plugin, nested by its dots.
	Plugins map[string]map[string]any
	// Warnings are to be logged once.
	Warnings []string
	// Files that were read, in order of precedence, weakest first.
	Files []string

	values map[string]any
	origin map[string]string
}

// Text returns the value of a text key; empty when unset.
func (v *Values) Text(key string) string { return get[string](v, key) }

// Secret returns the value of a text key whose value must not be printed.
func (v *Values) Secret(key string) Secret { return Secret(get[string](v, key)) }

// Bool returns the value of a boolean key.
func (v *Values) Bool(key string) bool { return get[bool](v, key) }

// Int returns the value of a number or port.
func (v *Values) Int(key string) int { return get[int](v, key) }

// Duration returns the value of a duration key.
func (v *Values) Duration(key string) time.Duration { return get[time.Duration](v, key) }

// Set says whether somebody gave the key a value, the defaults aside.
func (v *Values) Set(key string) bool { return v.origin[key] != "" }

func get[T any](v *Values, key string) T {
	value, ok := v.values[key]
	if !ok {
		var zero T
		return zero
	}
	return value.(T) //nolint:forcetypeassert // the kind of a key is fixed in Keys
}

// section puts a value at a dotted path below its plugin.
func (v *Values) section(path string, value any) {
	parts := strings.Split(path, ".")
	if v.Plugins == nil {
		v.Plugins = map[string]map[string]any{}
	}
	at := v.Plugins[parts[0]]
	if at == nil {
		at = map[string]any{}
		v.Plugins[parts[0]] = at
	}
	for _, p := range parts[1 : len(parts)-1] {
		next, ok := at[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[p] = next
		}
		at = next
	}
	at[parts[len(parts)-1]] = value
}
