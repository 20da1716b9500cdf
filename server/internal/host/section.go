package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// section is the configuration of one plugin, taken apart.
type section struct {
	config    plugin.Config
	addresses map[string]string   // by listener
	prefixes  map[string][]string // by mount
}

// The keys of a section that are the host's.
var hostKeys = []string{"mode", "listeners", "mounts"} //nolint:gochecknoglobals // a constant list

// cut decodes a section: the host's keys, and the rest strictly into the
// plugin's own struct.
func cut(m plugin.Manifest, raw map[string]any) (*section, error) {
	path := "plugins." + m.Name
	s := &section{addresses: map[string]string{}, prefixes: map[string][]string{}}
	var errs []error
	if mode, ok := raw["mode"]; ok && mode != "builtin" {
		errs = append(errs, fmt.Errorf("%s.mode: want builtin or off, got %v", path, mode))
	}
	errs = append(errs, s.listeners(path, m, raw["listeners"]), s.mounts(path, m, raw["mounts"]))
	own := map[string]any{}
	for k, v := range raw {
		if !slices.Contains(hostKeys, k) {
			own[k] = v
		}
	}
	c, err := inproc.Section{Path: path, Values: own, Nearest: conf.Nearest}.Decode(m.Config)
	s.config = c
	return s, errors.Join(append(errs, err)...)
}

func (s *section) listeners(path string, m plugin.Manifest, raw any) error {
	return each(path+".listeners", raw, func(name string, v map[string]any) error {
		if !slices.ContainsFunc(m.Listeners, func(l plugin.Listener) bool { return l.Name == name }) {
			return fmt.Errorf("%s.listeners.%s: no such listener", path, name)
		}
		for key, x := range v {
			if key != "address" {
				return fmt.Errorf("%s.listeners.%s.%s: unknown key%s", path, name, key, suggest(key, []string{"address"}))
			}
			s.addresses[name] = fmt.Sprint(x)
		}
		return nil
	})
}

func (s *section) mounts(path string, m plugin.Manifest, raw any) error {
	return each(path+".mounts", raw, func(name string, v map[string]any) error {
		if !slices.ContainsFunc(m.Mounts, func(l plugin.Mount) bool { return l.Name == name }) {
			return fmt.Errorf("%s.mounts.%s: no such mount", path, name)
		}
		for key, x := range v {
			if key != "prefixes" {
				return fmt.Errorf("%s.mounts.%s.%s: unknown key%s", path, name, key, suggest(key, []string{"prefixes"}))
			}
			s.prefixes[name] = texts(x)
		}
		return nil
	})
}

// texts reads a list, or one text with commas.
func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		out := strings.Split(fmt.Sprint(v), ",")
		for i := range out {
			out[i] = strings.TrimSpace(out[i])
		}
		return out
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = fmt.Sprint(list[i])
	}
	return out
}

func each(path string, raw any, fn func(string, map[string]any) error) error {
	if raw == nil {
		return nil
	}
	all, ok := raw.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: want a map by name", path)
	}
	var errs []error
	for name, v := range all {
		one, ok := v.(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s.%s: want a map", path, name))
			continue
		}
		errs = append(errs, fn(name, one))
	}
	return errors.Join(errs...)
}

// suggest says what was probably meant.
func suggest(got string, known []string) string {
	if near := conf.Nearest(got, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}
