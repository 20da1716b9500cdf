package conf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	koanfmap "github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/magiconair/properties"
)

// Source says where the values come from.
type Source struct {
	File    string                      // explicit file; empty: Env BATATA_CONFIG, then the defaults below Dir
	Dir     string                      // holds conf/; empty: the working directory
	Env     func(string) (string, bool) // os.LookupEnv
	Flags   []string                    // key=value, in order
	DataDir string                      // --data-dir; empty: not given
}

// Load merges all sources. The error joins everything that is wrong.
func Load(src Source) (*Values, error) {
	l := &loader{table: newTable(), out: &Values{values: map[string]any{}, origin: map[string]string{}}}
	texts := map[string]setting{}
	l.defaults(texts)
	l.files(src, texts)
	l.environment(src.Env, texts)
	l.flags(src, texts)
	l.finish(texts)
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return l.out, nil
}

// setting is the text of one value and where it was said.
type setting struct {
	value  any
	origin string
}

type loader struct {
	table *table
	out   *Values
	errs  []error
}

func (l *loader) fail(err error) { l.errs = append(l.errs, err) }

func (l *loader) defaults(into map[string]setting) {
	for _, k := range l.table.keys {
		if k.Default != "" {
			into[k.Name] = setting{value: k.Default}
		}
	}
}

// files reads the explicit file, or conf/application.yml over
// conf/application.properties; none is fine.
func (l *loader) files(src Source, into map[string]setting) {
	path := src.File
	if path == "" && src.Env != nil {
		path, _ = src.Env("BATATA_CONFIG")
	}
	if path != "" {
		l.file(path, true, into)
		return
	}
	for _, name := range []string{"application.properties", "application.yml"} {
		l.file(filepath.Join(src.Dir, "conf", name), false, into)
	}
}

func (l *loader) file(path string, must bool, into map[string]setting) {
	b, err := os.ReadFile(path)
	if err != nil {
		if must || !errors.Is(err, os.ErrNotExist) {
			l.fail(fmt.Errorf("read configuration: %w", err))
		}
		return
	}
	l.out.Files = append(l.out.Files, path)
	if strings.HasSuffix(path, ".properties") {
		l.properties(path, b, into)
		return
	}
	m, err := yaml.Parser().Unmarshal(b)
	if err != nil {
		l.fail(fmt.Errorf("read configuration %s: %w", path, err))
		return
	}
	flat, _ := koanfmap.Flatten(m, nil, ".")
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		l.set(path, key, flat[key], true, into)
	}
}

func (l *loader) properties(path string, b []byte, into map[string]setting) {
	reader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := reader.LoadBytes(b)
	if err != nil {
		l.fail(fmt.Errorf("read configuration %s: %w", path, err))
		return
	}
	for _, key := range p.Keys() {
		l.set(path, key, p.GetString(key, ""), false, into)
	}
}

// set takes one key of a file or flag. Unknown keys are errors when strict and
// warnings otherwise.
func (l *loader) set(origin, key string, value any, strict bool, into map[string]setting) {
	if rest, ok := strings.CutPrefix(key, pluginPrefix); ok && strings.Contains(rest, ".") {
		into[key] = setting{value, origin}
		return
	}
	if key == homeKey {
		into["data_dir"] = setting{filepath.Join(fmt.Sprint(value), "data"), origin}
		return
	}
	if k := l.table.byName(key); k != nil {
		if value == nil {
			value = ""
		}
		into[k.Name] = setting{value, origin}
		return
	}
	text := fmt.Sprintf("%s: unknown key %s", origin, key)
	if near := Nearest(key, l.table.names()); near != "" {
		text += ", did you mean " + near + "?"
	}
	if strict {
		l.fail(errors.New(text))
		return
	}
	l.out.Warnings = append(l.out.Warnings, text)
}

// pluginPrefix begins the keys that the plugins' own structs define.
const pluginPrefix = "plugins."

// homeKey is the installation directory of a foreign server; ours is below it.
const homeKey = "nacos.home"

// environment looks variables up by name, never by prefix. Specific names win
// over the generic one.
func (l *loader) environment(lookup func(string) (string, bool), into map[string]setting) {
	if lookup == nil {
		return
	}
	for _, k := range l.table.keys {
		for _, name := range append(slices.Clone(k.Env), k.EnvName()) {
			v, ok := lookup(name)
			if !ok {
				continue
			}
			if strings.HasSuffix(name, "_PORT") && strings.HasPrefix(v, "tcp://") {
				l.out.Warnings = append(l.out.Warnings, "environment "+name+": ignored, a service link of Kubernetes")
				continue
			}
			into[k.Name] = setting{v, "environment " + name}
		}
	}
}

func (l *loader) flags(src Source, into map[string]setting) {
	for _, f := range src.Flags {
		key, value, ok := strings.Cut(f, "=")
		if !ok || key == "" {
			l.fail(fmt.Errorf("--set %q: want key=value", f))
			continue
		}
		l.set("--set", key, value, true, into)
	}
	if src.DataDir != "" {
		into["data_dir"] = setting{src.DataDir, "--data-dir"}
	}
}

// finish expands placeholders, parses values and fills the plugin sections.
func (l *loader) finish(texts map[string]setting) {
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		s := texts[key]
		if text, ok := s.value.(string); ok {
			expanded, err := expand(text, texts)
			if err != nil {
				l.fail(fmt.Errorf("%s: %w", key, err))
				continue
			}
			s.value = expanded
		}
		if path, ok := strings.CutPrefix(key, pluginPrefix); ok {
			l.out.section(path, s.value)
			continue
		}
		l.known(key, s)
	}
}

func (l *loader) known(key string, s setting) {
	k := l.table.byName(key)
	v, err := k.parse(fmt.Sprint(s.value))
	if err != nil {
		if s.origin != "" {
			err = fmt.Errorf("%s: %w", s.origin, err)
		}
		l.fail(err)
		return
	}
	l.out.values[key], l.out.origin[key] = v, s.origin
	if k.Plugin != "" && s.origin != "" { // the defaults of a plugin are its own (STY-22)
		l.out.section(k.Plugin, v)
	}
}
