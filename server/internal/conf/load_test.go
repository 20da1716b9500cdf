package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write puts files below a fresh directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func environ(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := pairs[name]
		return v, ok
	}
}

// PRD-04: no configuration at all works.
func TestLoadNothing(t *testing.T) {
	v, err := Load(Source{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if got := v.Int("nacos.server.main.port"); got != 8848 {
		t.Errorf("port = %d, want 8848", got)
	}
	if got := v.Text("data_dir"); got != "./data" {
		t.Errorf("data_dir = %q, want ./data", got)
	}
	if got := v.Duration("server.drain"); got != 5*time.Second {
		t.Errorf("server.drain = %v, want 5s", got)
	}
	if v.Set("data_dir") {
		t.Error("Set(data_dir) = true for a default")
	}
}

// Precedence: flags over environment over YAML over properties over defaults.
func TestLoadPrecedence(t *testing.T) {
	dir := write(t, map[string]string{
		"conf/application.properties": "server.port=1\nlog.level=debug\nlog.format=json\nserver.drain=1s\n",
		"conf/application.yml":        "nacos:\n  server:\n    main:\n      port: 2\nlog.level: warn\nserver.drain: 2s\n",
	})
	v, err := Load(Source{
		Dir:   dir,
		Env:   environ(map[string]string{"NACOS_SERVER_MAIN_PORT": "3", "BATATA_LOG_LEVEL": "error"}),
		Flags: []string{"nacos.server.main.port=4"},
	})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if got := v.Int("nacos.server.main.port"); got != 4 {
		t.Errorf("port = %d, want 4 (flag)", got)
	}
	if got := v.Text("log.level"); got != "error" {
		t.Errorf("log.level = %q, want error (environment)", got)
	}
	if got := v.Duration("server.drain"); got != 2*time.Second {
		t.Errorf("server.drain = %v, want 2s (YAML)", got)
	}
	if got := v.Text("log.format"); got != "json" {
		t.Errorf("log.format = %q, want json (properties)", got)
	}
}

// NAD-KEY-69 and the specific names of NAD-KEY-60..68.
func TestLoadEnvironment(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		key  string
		want string
	}{
		"generic":           {map[string]string{"NACOS_SERVER_CONTEXT_PATH": "/a"}, "nacos.server.context-path", "/a"},
		"container":         {map[string]string{"SERVER_SERVLET_CONTEXTPATH": "/b"}, "nacos.server.context-path", "/b"},
		"generic wins":      {map[string]string{"SERVER_SERVLET_CONTEXTPATH": "/b", "NACOS_SERVER_CONTEXT_PATH": "/a"}, "nacos.server.context-path", "/a"},
		"rust log":          {map[string]string{"RUST_LOG": "warn"}, "log.level", "warn"},
		"no prefix look-up": {map[string]string{"BATATA_SERVER_BINDX": "x"}, "server.bind", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Load(Source{Dir: t.TempDir(), Env: environ(tt.env)})
			if err != nil {
				t.Fatalf("Load() = %v", err)
			}
			if got := v.Text(tt.key); got != tt.want {
				t.Errorf("%s = %q, want %q", tt.key, got, tt.want)
			}
		})
	}
}

// PRD-03: the context path is the prefix of the plugin's mount, in every
// spelling of an operator (ARC-P12).
func TestLoadContextPath(t *testing.T) {
	tests := map[string]struct {
		set  string
		want any // prefix; nil: the plugin's own default
	}{
		"default":       {"log.level=info", nil},
		"documented":    {"nacos.server.context-path=/batata", "/batata"},
		"camel case":    {"nacos.server.contextPath=/batata", "/batata"},
		"spring":        {"server.servlet.contextPath=/batata", "/batata"},
		"no slash":      {"nacos.server.contextPath=batata/", "/batata"},
		"two segments":  {"nacos.server.contextPath=/a/b", "/a/b"},
		"root":          {"nacos.server.contextPath=/", "/"},
		"empty is root": {"nacos.server.contextPath=", "/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Load(Source{Dir: t.TempDir(), Flags: []string{tt.set}})
			if err != nil {
				t.Fatalf("Load(%s) = %v", tt.set, err)
			}
			mounts, _ := v.Plugins["nacos"]["mounts"].(map[string]any)
			api, _ := mounts["api"].(map[string]any)
			if got := api["prefixes"]; got != tt.want {
				t.Errorf("Load(%s): prefixes = %v, want %v", tt.set, got, tt.want)
			}
		})
	}
	if _, err := Load(Source{Dir: t.TempDir(), Flags: []string{"nacos.server.contextPath=/a?b"}}); err == nil {
		t.Error("Load(/a?b) = nil error, want a refusal")
	}
}

// PRD-03: a service link of Kubernetes is no port.
func TestLoadServiceLink(t *testing.T) {
	v, err := Load(Source{Dir: t.TempDir(), Env: environ(map[string]string{"NACOS_SERVER_MAIN_PORT": "tcp://10.0.0.1:8848"})})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if got := v.Int("nacos.server.main.port"); got != 8848 {
		t.Errorf("port = %d, want the default", got)
	}
	if len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "NACOS_SERVER_MAIN_PORT") {
		t.Errorf("Warnings = %q, want one that names the variable", v.Warnings)
	}
}

func TestLoadErrors(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		flags []string
		want  []string // all must be in the one error
	}{
		"unknown in YAML":      {files: map[string]string{"conf/application.yml": "nacos.server.main.prot: 1"}, want: []string{"unknown key nacos.server.main.prot", "did you mean nacos.server.main.port?"}},
		"unknown flag":         {flags: []string{"data-dir=x"}, want: []string{"--set: unknown key data-dir", "did you mean data_dir?"}},
		"flag without value":   {flags: []string{"data_dir"}, want: []string{`--set "data_dir": want key=value`}},
		"bad port":             {flags: []string{"nacos.server.main.port=70000"}, want: []string{"want a port from 0 to 65535"}},
		"bad bool":             {flags: []string{"nacos.core.auth.enabled=maybe"}, want: []string{"want true or false"}},
		"bad duration":         {flags: []string{"server.drain=5"}, want: []string{"want a duration"}},
		"bad number":           {flags: []string{"nacos.config.retention.days=x"}, want: []string{"want a whole number"}},
		"all at once":          {flags: []string{"server.drain=5", "nacos.core.auth.enabled=maybe"}, want: []string{"want a duration", "want true or false"}},
		"no database":          {files: map[string]string{"conf/application.yml": "db:\n  url: mysql://user:secret@host/db"}, want: []string{"db.url", "stores everything in data_dir"}},
		"broken YAML":          {files: map[string]string{"conf/application.yml": "a: [1"}, want: []string{"read configuration"}},
		"placeholder unknown":  {flags: []string{"data_dir=${nowhere}"}, want: []string{"no such key and no default"}},
		"placeholder cycle":    {flags: []string{"data_dir=${data_dir}"}, want: []string{"nested deeper"}},
		"placeholder open":     {flags: []string{"data_dir=${x"}, want: []string{"placeholder without end"}},
		"section without path": {flags: []string{"plugins.nacos=1"}, want: []string{"unknown key plugins.nacos"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Source{Dir: write(t, tt.files), Flags: tt.flags})
			if err == nil {
				t.Fatal("Load() = nil error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Load() = %q, want %q in it", err, w)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("Load() = %q, shows a secret", err)
			}
		})
	}
}

// PRD-03: an unknown key of application.properties is a warning; the file may
// be a stock one of another server. NAD-KEY-10: nacos.home means its data.
func TestLoadProperties(t *testing.T) {
	dir := write(t, map[string]string{"conf/application.properties": "" +
		"# stock file\nspring.main.banner=off\nnacos.home=/srv/nacos\n" +
		"server.servlet.contextPath=${my.path:/n}\nnacos.core.auth.enabled=true\n"})
	v, err := Load(Source{Dir: dir})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "spring.main.banner") {
		t.Errorf("Warnings = %q, want one for spring.main.banner", v.Warnings)
	}
	if got := v.Text("data_dir"); got != "/srv/nacos/data" {
		t.Errorf("data_dir = %q, want /srv/nacos/data", got)
	}
	if got := v.Text("nacos.server.context-path"); got != "/n" {
		t.Errorf("context path = %q, want the placeholder's default /n", got)
	}
}

// ARC-P09: foreign spellings reach a plugin in its own section, beside what the
// operator wrote there.
func TestLoadPluginSection(t *testing.T) {
	dir := write(t, map[string]string{"conf/application.yml": "" +
		"nacos.core.auth.enabled: true\nplugins:\n  nacos:\n    mounts:\n      api:\n        prefixes: [/x]\n"})
	v, err := Load(Source{Dir: dir, Flags: []string{"plugins.hello.greeting=hi"}})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	auth, _ := v.Plugins["nacos"]["auth"].(map[string]any)
	if auth["enabled"] != true {
		t.Errorf("plugins.nacos.auth.enabled = %v, want true", auth["enabled"])
	}
	mounts, _ := v.Plugins["nacos"]["mounts"].(map[string]any)
	if api, _ := mounts["api"].(map[string]any); api["prefixes"] == nil {
		t.Errorf("plugins.nacos.mounts = %v, want the operator's prefixes", mounts)
	}
	if got := v.Plugins["hello"]["greeting"]; got != "hi" {
		t.Errorf("plugins.hello.greeting = %v, want hi", got)
	}
}

func TestLoadExplicitFile(t *testing.T) {
	if _, err := Load(Source{File: filepath.Join(t.TempDir(), "none.yml")}); err == nil {
		t.Error("Load() of a missing explicit file = nil error")
	}
	dir := write(t, map[string]string{"x.yml": "log.level: debug", "conf/application.yml": "log.level: warn"})
	v, err := Load(Source{Dir: dir, Env: environ(map[string]string{"BATATA_CONFIG": filepath.Join(dir, "x.yml")})})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if got := v.Text("log.level"); got != "debug" {
		t.Errorf("log.level = %q, want debug of $BATATA_CONFIG", got)
	}
}

// Every key and alias is unique, and every default parses.
func TestKeys(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Keys() {
		for _, n := range append([]string{k.Name}, k.Aliases...) {
			if other, ok := seen[n]; ok {
				t.Errorf("%s is a spelling of %s and of %s", n, other, k.Name)
			}
			seen[n] = k.Name
		}
		if k.Default == "" {
			continue
		}
		if _, err := k.parse(k.Default); err != nil {
			t.Errorf("default of %s: %v", k.Name, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"data_dir", "log.level", "server.bind"}
	for got, want := range map[string]string{"data-dir": "data_dir", "log.levle": "log.level", "zzz": "", "": ""} {
		if n := Nearest(got, known); n != want {
			t.Errorf("Nearest(%q) = %q, want %q", got, n, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("a.b=c\n", "nacos:\n  server:\n    main:\n      port: 1\n")
	f.Add("server.port=${x:1}", "plugins.nacos.x: [1, {a: b}]")
	f.Fuzz(func(t *testing.T, props, yml string) {
		dir := write(t, map[string]string{"conf/application.properties": props, "conf/application.yml": yml})
		_, _ = Load(Source{Dir: dir}) // must not panic, whatever the bytes
	})
}
