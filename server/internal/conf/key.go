package conf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a key's value.
type Kind uint8

const (
	// Text is any string.
	Text Kind = iota + 1
	// Bool is true or false.
	Bool
	// Int is a whole number.
	Int
	// Port is a TCP or UDP port, 0 meaning off or any.
	Port
	// Duration is a number with a unit, such as 500ms or 5s.
	Duration
	// Path is the prefix of URLs: it gets a leading slash and loses final ones;
	// empty is the root.
	Path
)

// Key is one documented configuration key.
type Key struct {
	Name    string
	Kind    Kind
	Default string // empty: none
	Doc     string // one line for the documented defaults file
	Aliases []string
	Env     []string // beside the generic form of Name
	Secret  bool     // never printed
	// Plugin is where the value goes: a path below the section of a plugin,
	// "nacos.auth.enabled". Empty: the server itself reads it.
	Plugin string
	// Only lists the accepted values of a key whose feature this version does
	// not have: everything else is refused with Why.
	Only []string
	Why  string
}

// EnvName is the generic environment variable of a key (NAD-KEY-69).
func (k *Key) EnvName() string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.Name))
}

// parse converts the text of a value to its Go form and checks it.
func (k *Key) parse(text string) (any, error) {
	if err := k.supported(text); err != nil {
		return nil, err
	}
	switch k.Kind {
	case Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return nil, fmt.Errorf("%s: want true or false, got %q", k.Name, k.show(text))
		}
		return b, nil
	case Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%s: want a whole number, got %q", k.Name, k.show(text))
		}
		return n, nil
	case Port:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 65535 {
			return nil, fmt.Errorf("%s: want a port from 0 to 65535, got %q", k.Name, k.show(text))
		}
		return n, nil
	case Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%s: want a duration such as 500ms or 5s, got %q", k.Name, k.show(text))
		}
		return d, nil
	case Path:
		return k.path(text)
	case Text:
	}
	return text, nil
}

func (k *Key) path(text string) (string, error) {
	if strings.ContainsAny(text, " ,?#%;") {
		return "", fmt.Errorf("%s: want a path such as /nacos, got %q", k.Name, k.show(text))
	}
	return "/" + strings.Trim(text, "/"), nil
}

func (k *Key) supported(text string) error {
	if len(k.Only) == 0 {
		return nil
	}
	for _, v := range k.Only {
		if strings.EqualFold(v, text) {
			return nil
		}
	}
	return fmt.Errorf("%s: %q: %s", k.Name, k.show(text), k.Why)
}

func (k *Key) show(text string) string {
	if k.Secret {
		return "***"
	}
	return text
}
