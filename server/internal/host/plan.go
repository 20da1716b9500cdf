package host

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

// Plan is what the manifests and the configuration come to: who listens where,
// and which path belongs to whom.
type Plan struct {
	Plugins   []*Planned
	Listeners []*Listening
	points    *inproc.Points
}

// Planned is one plugin with its effective settings.
type Planned struct {
	Plugin   plugin.Plugin
	Manifest plugin.Manifest
	Config   plugin.Config
	Prefixes map[string][]string // by mount
	// Configured says whether the operator wrote anything about it.
	Configured bool
}

// Listening is one listener.
type Listening struct {
	Owner   string // plugin; empty: the main listener
	Name    string
	Network string
	Address string // empty: off
	Key     string // configuration key of the address
	// Open says that callers without credentials are served, and CloseKey which
	// key changes that.
	Open     bool
	CloseKey string
	// Optional listeners that cannot be bound stay off with a warning.
	Optional bool
}

// Main describes the main listener to plan for.
type Main struct {
	Bind string
	Port int
	Key  string
}

// plan checks all plugins; the error lists every conflict.
func plan(s Settings) (*Plan, error) {
	p := &Plan{Listeners: []*Listening{{
		Name: plugin.Main, Network: "tcp", Address: net.JoinHostPort(s.Main.Bind, strconv.Itoa(s.Main.Port)), Key: s.Main.Key,
	}}}
	var errs []error
	known := map[string]bool{}
	for _, x := range s.Plugins {
		m := x.Manifest()
		if known[m.Name] {
			errs = append(errs, fmt.Errorf("plugin %s: twice", m.Name))
			continue
		}
		known[m.Name] = true
		if mode := fmt.Sprint(s.Sections[m.Name]["mode"]); mode == "off" {
			continue
		}
		if err := inproc.Check(m); err != nil {
			errs = append(errs, err)
			continue
		}
		one, err := p.add(x, m, s.Sections[m.Name], s.Main)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.Plugins = append(p.Plugins, one)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sections)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("plugins.%s: this server has no plugin %s%s", name, name, suggest(name, slices.Collect(maps.Keys(known)))))
		}
	}
	errs = append(errs, p.addresses(), p.prefixes(s.System), p.connect())
	return p, errors.Join(errs...)
}

// add plans one plugin.
func (p *Plan) add(x plugin.Plugin, m plugin.Manifest, raw map[string]any, main Main) (*Planned, error) {
	s, err := cut(m, raw)
	if err != nil {
		return nil, err
	}
	one := &Planned{Plugin: x, Manifest: m, Config: s.config, Prefixes: map[string][]string{}, Configured: len(raw) > 0}
	for _, mount := range m.Mounts {
		one.Prefixes[mount.Name] = mount.Prefixes
		if own, ok := s.prefixes[mount.Name]; ok {
			one.Prefixes[mount.Name] = own
		}
	}
	open, key := false, ""
	if o, ok := s.config.(plugin.Opener); ok {
		open, key = o.Open()
	}
	if open {
		p.Listeners[0].Open, p.Listeners[0].CloseKey = true, key
	}
	for _, l := range m.Listeners {
		at := &Listening{
			Owner: m.Name, Name: l.Name, Network: l.Network, Key: "plugins." + m.Name + ".listeners." + l.Name + ".address",
			Open: open, CloseKey: key, Optional: !one.Configured,
		}
		own, given := s.addresses[l.Name]
		if at.Address, err = address(l, own, given, main); err != nil {
			return nil, fmt.Errorf("%s: %w", at.Key, err)
		}
		at.Optional = at.Optional && !given
		p.Listeners = append(p.Listeners, at)
	}
	return one, nil
}

// address resolves where a listener binds: what the operator said, else the
// default, which may follow the main port.
func address(l plugin.Listener, own string, given bool, main Main) (string, error) {
	if given && (own == "" || own == "off") {
		return "", nil
	}
	text := l.Address
	if given {
		text = own
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("want host:port, got %q", text)
	}
	if !given && l.MainOffset != 0 {
		port = "0"
		if main.Port != 0 {
			if main.Port+l.MainOffset > 65535 {
				return "", fmt.Errorf("main port %d plus %d is no port", main.Port, l.MainOffset)
			}
			port = strconv.Itoa(main.Port + l.MainOffset)
		}
	}
	if host == "" {
		host = main.Bind
	}
	return net.JoinHostPort(host, port), nil
}

// addresses finds those claimed twice.
func (p *Plan) addresses() error {
	var errs []error
	taken := map[string]string{}
	for _, l := range p.Listeners {
		if l.Address == "" || strings.HasSuffix(l.Address, ":0") {
			continue
		}
		at := l.Network + " " + l.Address
		if other := taken[at]; other != "" {
			errs = append(errs, fmt.Errorf("address %s: %s and %s", at, other, l.Key))
		}
		taken[at] = l.Key
	}
	return errors.Join(errs...)
}

// prefixes finds those claimed twice on one listener (ARC-P03); the server has
// some of its own on the main one.
func (p *Plan) prefixes(system map[string]http.Handler) error {
	type place struct{ owner, listener, prefix string }
	var errs []error
	taken := map[place]string{}
	for path := range system {
		taken[place{"", plugin.Main, inproc.Clean(path)}] = "the server"
	}
	for _, one := range p.Plugins {
		for _, m := range one.Manifest.Mounts {
			at := place{listener: m.Listener}
			if m.Listener != plugin.Main {
				at.owner = one.Manifest.Name
			}
			for _, prefix := range one.Prefixes[m.Name] {
				if !strings.HasPrefix(prefix, "/") {
					errs = append(errs, fmt.Errorf("plugin %s: mount %s: prefix %q does not begin with /", one.Manifest.Name, m.Name, prefix))
				}
				at.prefix = inproc.Clean(prefix)
				if other := taken[at]; other != "" {
					errs = append(errs, fmt.Errorf("prefix %s: claimed by %s and by %s", prefix, other, one.Manifest.Name))
				}
				taken[at] = one.Manifest.Name
			}
		}
	}
	return errors.Join(errs...)
}

// connect matches extension points.
func (p *Plan) connect() (err error) {
	manifests := make([]plugin.Manifest, len(p.Plugins))
	for i, one := range p.Plugins {
		manifests[i] = one.Manifest
	}
	p.points, err = inproc.Connect(manifests)
	return err
}
