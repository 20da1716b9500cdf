package plugintest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

// manifest checks that the manifest is valid, and the same on every call and for
// every plugin that the factory makes (ARC-P01).
func manifest(_ context.Context, factory func() plugin.Plugin, _ string) error {
	p := factory()
	first := p.Manifest()
	errs := []error{inproc.Check(first)}
	want := data(first)
	deface(&first) // a caller's copy is the caller's
	for _, x := range []plugin.Plugin{p, factory()} {
		if got := data(x.Manifest()); !reflect.DeepEqual(got, want) {
			errs = append(errs, fmt.Errorf("manifest: %+v, and another time %+v", want, got))
		}
	}
	return errors.Join(errs...)
}

// data is a deep copy of what can be compared.
func data(m plugin.Manifest) plugin.Manifest {
	out := m
	out.Config = nil
	out.Listeners = append([]plugin.Listener(nil), m.Listeners...)
	out.Mounts = append([]plugin.Mount(nil), m.Mounts...)
	for i := range out.Mounts {
		out.Mounts[i].Prefixes = append([]string(nil), out.Mounts[i].Prefixes...)
	}
	return out
}

func deface(m *plugin.Manifest) {
	for i := range m.Listeners {
		m.Listeners[i].Name = "defaced"
	}
	for i := range m.Mounts {
		m.Mounts[i].Name = "defaced"
		for j := range m.Mounts[i].Prefixes {
			m.Mounts[i].Prefixes[j] = "defaced"
		}
	}
}

// unknownKey is in no plugin's configuration.
const unknownKey = "no_plugin_has_this_key"

// keyForm is the form of one part of a configuration key (STY-20).
var keyForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// configuration checks the section: an empty one is the defaults, which are
// valid and fresh each time; unknown keys are refused; keys are snake_case.
func configuration(_ context.Context, factory func() plugin.Plugin, _ string) error {
	m := factory().Manifest()
	section := inproc.Section{Path: "plugins." + m.Name, Values: map[string]any{unknownKey: 1}}
	if _, err := section.Decode(m.Config); err == nil {
		return fmt.Errorf("%s: the unknown key %s was taken", section.Path, unknownKey)
	}
	if m.Config == nil {
		return nil
	}
	if t := reflect.TypeOf(m.Config()); t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("configuration: %s is no pointer to a struct", t)
	}
	var errs []error
	section.Values = nil
	got, err := section.Decode(m.Config)
	if err != nil {
		errs = append(errs, fmt.Errorf("defaults: %w", err))
	}
	if want := m.Config(); !reflect.DeepEqual(got, want) {
		errs = append(errs, fmt.Errorf("an empty section: %+v, want the defaults %+v", got, want))
	}
	if a, b := m.Config(), m.Config(); a == b {
		errs = append(errs, errors.New("configuration: the same struct twice, want a fresh one each time"))
	}
	return errors.Join(append(errs, keys(section.Path, reflect.TypeOf(got).Elem())...)...)
}

// keys checks the tags of a struct and of those inside it.
func keys(path string, t reflect.Type) []error {
	var errs []error
	for f := range t.Fields() {
		tag := f.Tag.Get("koanf")
		switch {
		case f.Anonymous:
			errs = append(errs, fmt.Errorf("%s: embedded %s", path, f.Name))
		case !f.IsExported():
		case !keyForm.MatchString(tag):
			errs = append(errs, fmt.Errorf("%s: field %s has the key %q, want snake_case in a koanf tag", path, f.Name, tag))
		case f.Type.Kind() == reflect.Struct && !strings.HasPrefix(f.Type.PkgPath(), "time"):
			errs = append(errs, keys(path+"."+tag, f.Type)...)
		}
	}
	return errs
}
