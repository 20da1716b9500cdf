package conf

import (
	"fmt"
	"strings"
)

// Example renders the documented defaults file: every key this version reads,
// commented out, with its default and its meaning.
func Example() string {
	var b strings.Builder
	b.WriteString("# Every key, with its default. Everything is optional. Each key is also an\n" +
		"# environment variable: upper case, with . and - as _. Copy this file to\n" +
		"# conf/application.yml and remove the # of what you change.\n")
	for _, k := range Keys() {
		if len(k.Only) > 0 {
			continue
		}
		fmt.Fprintf(&b, "\n# %s\n", k.Doc)
		if len(k.Env) > 0 {
			fmt.Fprintf(&b, "# also: %s\n", strings.Join(k.Env, ", "))
		}
		value := k.Default
		if k.Kind == Text {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&b, "#%s: %s\n", k.Name, value)
	}
	return b.String()
}
