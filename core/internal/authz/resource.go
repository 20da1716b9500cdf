package authz

import (
	"strings"

	"github.com/easynet-cn/batata/core/auth"
)

// defaultNamespace stands for a blank one.
const defaultNamespace = "public"

// resourceText renders a resource as namespace:group:kind/name, with * for what
// is blank; so a question about many asks for a grant that covers all. What has
// no kind is its name.
func resourceText(r auth.Resource) string {
	if r.Kind == "" && r.Name != "" {
		return r.Name
	}
	return or(r.Namespace, defaultNamespace) + ":" + or(r.Group, "*") + ":" + r.Kind + "/" + or(r.Name, "*")
}

func or(s, blank string) string {
	if s == "" {
		return blank
	}
	return s
}

// pattern is a stored resource: literal parts between wildcards.
type pattern []string

// compile splits a stored resource at its wildcards. A leading colon means the
// default namespace.
func compile(stored string) pattern {
	if strings.HasPrefix(stored, ":") {
		stored = defaultNamespace + stored
	}
	return strings.Split(stored, "*")
}

// matches says whether the whole text matches, each wildcard standing for any
// run of characters.
func (p pattern) matches(text string) bool {
	if len(p) == 1 {
		return text == p[0]
	}
	rest, ok := strings.CutPrefix(text, p[0])
	if !ok {
		return false
	}
	for _, part := range p[1 : len(p)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, p[len(p)-1])
}
