package inproc

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"

	"github.com/easynet-cn/batata/core/plugin"
)

// Section is what an operator wrote for one plugin, without the keys of the host.
type Section struct {
	Path   string         // begins every error: "plugins.nacos"
	Values map[string]any // nested by the dots of the keys; texts are converted
	// Nearest finds what was probably meant, empty for nothing; nil: no
	// suggestions.
	Nearest func(got string, known []string) string
}

// Decode fills the struct that defaults returns, strictly, and validates it; the
// error lists every problem. A plugin without defaults takes no section at all
// and gets nil.
func (s Section) Decode(defaults func() plugin.Config) (plugin.Config, error) {
	if defaults == nil {
		if len(s.Values) > 0 {
			return nil, fmt.Errorf("%s: this plugin has no settings of its own", s.Path)
		}
		return nil, nil //nolint:nilnil // no section is a valid one
	}
	c := defaults()
	errs := s.fill(c)
	if err := c.Validate(); err != nil {
		for line := range strings.Lines(err.Error()) {
			errs = append(errs, fmt.Errorf("%s.%s", s.Path, strings.TrimSuffix(line, "\n")))
		}
	}
	return c, errors.Join(errs...)
}

func (s Section) fill(into plugin.Config) []error {
	var meta mapstructure.Metadata
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: into, TagName: "koanf", WeaklyTypedInput: true, Metadata: &meta,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	})
	if err != nil {
		return []error{fmt.Errorf("%s: %w", s.Path, err)}
	}
	var errs []error
	for _, err := range leaves(d.Decode(s.Values)) {
		errs = append(errs, fmt.Errorf("%s: %w", s.Path, err))
	}
	known := keysOf(reflect.TypeOf(into).Elem(), "")
	slices.Sort(meta.Unused)
	for _, key := range meta.Unused {
		errs = append(errs, fmt.Errorf("%s.%s: unknown key%s", s.Path, key, s.suggest(key, known)))
	}
	return errs
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

func (s Section) suggest(got string, known []string) string {
	if s.Nearest == nil {
		return ""
	}
	if near := s.Nearest(got, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

// keysOf lists the keys of a struct by its tags, nested ones with dots.
func keysOf(t reflect.Type, prefix string) []string {
	var out []string
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		tag := f.Tag.Get("koanf")
		if tag == "" {
			continue
		}
		out = append(out, prefix+tag)
		out = append(out, keysOf(f.Type, prefix+tag+".")...)
	}
	return out
}
