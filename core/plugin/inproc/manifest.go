package inproc

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/easynet-cn/batata/core/plugin"
)

// nameForm is how plugins, listeners, mounts and tables are named: they become
// parts of configuration keys and of metric names.
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Check says everything that is wrong with one manifest by itself; what several
// manifests claim together is the business of the host.
func Check(m plugin.Manifest) error {
	c := checker{subject: "plugin " + m.Name}
	c.name("", m.Name)
	listeners := map[string]string{plugin.Main: "tcp"}
	for _, l := range m.Listeners {
		c.name("listener", l.Name)
		if _, taken := listeners[l.Name]; taken {
			c.fail("listener %s: the name is taken", l.Name)
		}
		listeners[l.Name] = l.Network
		if l.Network != "tcp" && l.Network != "udp" {
			c.fail("listener %s: network %q is neither tcp nor udp", l.Name, l.Network)
		}
	}
	mounts := map[string]bool{}
	for _, mount := range m.Mounts {
		c.mount(mount, mounts, listeners)
	}
	tables := map[string]bool{}
	for _, t := range m.Tables {
		c.name("table", t.Name)
		if tables[t.Name] {
			c.fail("table %s: twice", t.Name)
		}
		tables[t.Name] = true
	}
	return errors.Join(c.errs...)
}

// checker collects what is wrong.
type checker struct {
	subject string
	errs    []error
}

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(c.subject+": "+format, args...))
}

func (c *checker) name(kind, name string) {
	if !nameForm.MatchString(name) {
		c.fail("%q is no name in lower_snake_case", strings.TrimSpace(kind+" "+name))
	}
}

func (c *checker) mount(m plugin.Mount, known map[string]bool, listeners map[string]string) {
	c.name("mount", m.Name)
	if known[m.Name] {
		c.fail("mount %s: twice", m.Name)
	}
	known[m.Name] = true
	switch network, declared := listeners[m.Listener]; {
	case !declared:
		c.fail("mount %s: listener %s is not declared", m.Name, m.Listener)
	case network != "tcp":
		c.fail("mount %s: listener %s speaks %s", m.Name, m.Listener, network)
	}
	if len(m.Prefixes) == 0 {
		c.fail("mount %s: no prefix", m.Name)
	}
	for _, p := range m.Prefixes {
		if !strings.HasPrefix(p, "/") {
			c.fail("mount %s: prefix %q does not begin with /", m.Name, p)
		}
	}
}
