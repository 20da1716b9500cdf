package catalog

import (
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// filter is a query made ready for many keys.
type filter struct {
	namespace   string
	group, name pattern
}

func newFilter(q *registry.Query) filter {
	return filter{namespace: q.Namespace, group: newPattern(q.Group), name: newPattern(q.Name)}
}

func (f *filter) matches(k *registry.ServiceKey) bool {
	return (f.namespace == "" || f.namespace == k.Namespace) && f.group.matches(k.Group) && f.name.matches(k.Name)
}

// start is the first key that may match, from a key on.
func (f *filter) start(from registry.ServiceKey) registry.ServiceKey {
	if f.namespace == "" {
		return from
	}
	first := registry.ServiceKey{Namespace: f.namespace, Group: f.group.prefix}
	if f.group.exact {
		first.Name = f.name.prefix
	}
	if compareKeys(&from, &first) > 0 {
		return from
	}
	return first
}

// beyond says that neither a key nor any that follows it can match.
func (f *filter) beyond(k *registry.ServiceKey) bool {
	switch {
	case f.namespace == "":
		return false
	case k.Namespace != f.namespace:
		return k.Namespace > f.namespace
	case f.group.above(k.Group):
		return true
	}
	return f.group.exact && k.Group == f.group.prefix && f.name.above(k.Name)
}

// pattern is a text in which * stands for any run of characters; blank is like *.
type pattern struct {
	prefix string   // what comes before the first *
	exact  bool     // there is no *
	middle []string // what must follow, in this order
	suffix string
}

func newPattern(text string) pattern {
	if text == "" {
		text = "*"
	}
	parts := strings.Split(text, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern{prefix: text, exact: true}
	}
	return pattern{prefix: parts[0], middle: parts[1:last], suffix: parts[last]}
}

func (p *pattern) matches(text string) bool {
	if p.exact {
		return text == p.prefix
	}
	if !strings.HasPrefix(text, p.prefix) {
		return false
	}
	text = text[len(p.prefix):]
	for _, m := range p.middle {
		i := strings.Index(text, m)
		if i < 0 {
			return false
		}
		text = text[i+len(m):]
	}
	return strings.HasSuffix(text, p.suffix)
}

// above says that a text comes after all that match.
func (p *pattern) above(text string) bool {
	return text > p.prefix && (p.exact || !strings.HasPrefix(text, p.prefix))
}
