package authz

import (
	"testing"

	"github.com/easynet-cn/batata/core/auth"
)

// NAD-AUTH-74..76: what a stored resource covers. Only * is special.
func TestPattern(t *testing.T) {
	config := auth.Resource{Kind: "config", Namespace: "dev", Group: "G", Name: "app.yml"}
	list := auth.Resource{Kind: "config", Namespace: "dev"}
	public := auth.Resource{Kind: "config", Group: "G", Name: "a"}
	fixed := auth.Resource{Name: "/v3/admin/core/cluster"}
	tests := map[string]struct {
		stored   string
		resource auth.Resource
		want     bool
	}{
		"exact":                   {"dev:G:config/app.yml", config, true},
		"whole namespace":         {"dev:*:*", config, true},
		"other namespace":         {"prod:*:*", config, false},
		"other kind":              {"dev:*:naming/*", config, false},
		"prefix of a name":        {"dev:G:config/app*", config, true},
		"middle":                  {"dev:*:config/*.yml", config, true},
		"too short":               {"dev:G:config/app", config, false},
		"dot is a dot":            {"dev:G:config/appxyml", config, false},
		"everything":              {"*", config, true},
		"listing, whole":          {"dev:*:*", list, true},
		"listing, narrower":       {"dev:G:config/*", list, false},
		"blank is public":         {":G:config/a", public, true},
		"public by name":          {"public:G:config/*", public, true},
		"other than public":       {"dev:G:config/*", public, false},
		"overlapping":             {"dev:G:config/app.yml*app.yml", config, false},
		"regular expression":      {"dev:.*:config/.*", config, false},
		"empty grant":             {"", config, false},
		"two wildcards together":  {"dev:**:config/app.yml", config, true},
		"fixed":                   {"/v3/admin/core/cluster", fixed, true}, // NAD-AUTH-77
		"another fixed one":       {"/v3/admin/core/ops", fixed, false},
		"fixed, in no namespace":  {"*:*:*", fixed, false},
		"suffix must be the last": {"dev:*:config/app", config, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := resourceText(tt.resource)
			if got := compile(tt.stored).matches(text); got != tt.want {
				t.Errorf("compile(%q).matches(%q) = %v, want %v", tt.stored, text, got, tt.want)
			}
		})
	}
}
