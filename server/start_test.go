package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/host"
)

// wantRefused starts a server that must not start, and release what it took.
func wantRefused(t *testing.T, c Config, wants []string, plugins ...plugin.Plugin) error {
	t.Helper()
	s, err := Start(t.Context(), c, plugins...)
	if err == nil {
		_ = s.Close()
		t.Fatalf("Start() = nil error, want %q", wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Start() = %v\nwant %q in it", err, want)
		}
	}
	return err
}

// ARC-P01, ARC-P03, CTR-E01: conflicts fail the start, each with both sides.
func TestManifestConflicts(t *testing.T) {
	edit := func(name string, f func(*plugin.Manifest)) *fake { return &fake{name: name, manifest: f} }
	prefixes := func(name string, p ...string) *fake {
		return edit(name, func(m *plugin.Manifest) { m.Mounts[0].Prefixes = p })
	}
	tests := map[string]struct {
		plugins []plugin.Plugin
		want    []string
	}{
		"same name":           {[]plugin.Plugin{&fake{}, &fake{}}, []string{"plugin fake: twice"}},
		"same prefix":         {[]plugin.Plugin{prefixes("a", "/x"), prefixes("b", "/x/")}, []string{"prefix /x/: claimed by a and by b"}},
		"prefix of ours":      {[]plugin.Plugin{prefixes("a", "/metrics")}, []string{"prefix /metrics: claimed by the server and by a"}},
		"relative prefix":     {[]plugin.Plugin{prefixes("a", "x")}, []string{`mount api: prefix "x" does not begin with /`}},
		"unknown listener":    {[]plugin.Plugin{edit("a", func(m *plugin.Manifest) { m.Mounts[0].Listener = "no" })}, []string{"plugin a: mount api: listener no is not declared"}},
		"no name of a plugin": {[]plugin.Plugin{edit("A-b", func(*plugin.Manifest) {})}, []string{`"A-b" is no name in lower_snake_case`}},
		"listener called main": {[]plugin.Plugin{edit("a", func(m *plugin.Manifest) {
			m.Listeners = []plugin.Listener{{Name: plugin.Main, Network: "tcp", Address: ":0"}}
		})}, []string{"listener main: the name is taken"}},
		"same address": {[]plugin.Plugin{
			edit("a", func(m *plugin.Manifest) {
				m.Listeners = []plugin.Listener{{Name: "x", Network: "tcp", Address: ":15010"}}
			}),
			edit("b", func(m *plugin.Manifest) {
				m.Listeners = []plugin.Listener{{Name: "y", Network: "tcp", Address: ":15010"}}
			}),
		}, []string{"address tcp 127.0.0.1:15010: plugins.a.listeners.x.address and plugins.b.listeners.y.address"}},
		"point offered twice": {[]plugin.Plugin{
			edit("a", func(m *plugin.Manifest) { m.Offers = map[string]int{"p": 1} }),
			edit("b", func(m *plugin.Manifest) { m.Offers = map[string]int{"p": 1} }),
		}, []string{"extension point p: offered by a and by b"}},
		"version of a point": {[]plugin.Plugin{
			edit("a", func(m *plugin.Manifest) { m.Offers = map[string]int{"p": 1} }),
			edit("b", func(m *plugin.Manifest) { m.Extends = []plugin.Extension{{Point: "p", Version: 2}} }),
		}, []string{"extension point p: a offers version 1, b needs 2"}},
		"key of a point": {[]plugin.Plugin{
			edit("a", func(m *plugin.Manifest) { m.Offers = map[string]int{"p": 1} }),
			edit("b", func(m *plugin.Manifest) {
				m.Extends = []plugin.Extension{{Point: "p", Version: 1, Keys: []string{"k"}}}
			}),
			edit("c", func(m *plugin.Manifest) {
				m.Extends = []plugin.Extension{{Point: "p", Version: 1, Keys: []string{"k"}}}
			}),
		}, []string{"extension point p: key k is taken by b and by c"}},
		"all at once": {[]plugin.Plugin{prefixes("a", "/x"), prefixes("b", "/x"), &fake{name: "a"}}, []string{"claimed by a and by b", "plugin a: twice"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			_ = wantRefused(t, c, tt.want, tt.plugins...)
			if files, err := os.ReadDir(c.Core.DataDir); err != nil || len(files) != 0 {
				t.Errorf("data directory = %v, %v, want nothing: the host reads manifests before anything starts", files, err)
			}
		})
	}
}

// The same names on exclusive listeners are no conflict, and a point that nobody
// offers is none either (CTR-E01).
func TestNoConflict(t *testing.T) {
	own := func(m *plugin.Manifest) {
		m.Listeners = []plugin.Listener{{Name: "own", Network: "tcp", Address: ":0"}}
		m.Mounts[0].Listener, m.Mounts[0].Prefixes = "own", []string{"/"}
		m.Extends = []plugin.Extension{{Point: "absent", Version: 1, Keys: []string{"k"}}}
	}
	c := config(t)
	c.Sections = map[string]map[string]any{"a": {"greeting": "a"}, "b": {"greeting": "b"}}
	s := start(t, c, &fake{name: "a", manifest: own}, &fake{name: "b", manifest: own})
	for _, name := range []string{"a", "b"} {
		if code, body := get(t, "http://"+s.Addr(name, "own").String()+"/any"); code != 200 || body != name {
			t.Errorf("GET of %s = %d %q, want 200 and its own answer", name, code, body)
		}
	}
	wantAnswer(t, s, "/a", 404, "404 page not found")
}

// STY-21, ARC-P09: sections are strict; everything wrong is told at once.
func TestSections(t *testing.T) {
	type section = map[string]any
	tests := map[string]struct {
		sections map[string]section
		want     []string
	}{
		"unknown key":      {map[string]section{"fake": {"greating": "x"}}, []string{"plugins.fake.greating: unknown key, did you mean greeting?"}},
		"invalid":          {map[string]section{"fake": {"greeting": ""}}, []string{"plugins.fake.greeting: must not be empty"}},
		"unknown plugin":   {map[string]section{"fakes": {"x": 1}}, []string{"plugins.fakes: this server has no plugin fakes, did you mean fake?"}},
		"unknown mount":    {map[string]section{"fake": {"mounts": section{"x": section{"prefixes": "/"}}}}, []string{"plugins.fake.mounts.x: no such mount"}},
		"unknown listener": {map[string]section{"fake": {"listeners": section{"x": section{"address": ":1"}}}}, []string{"plugins.fake.listeners.x: no such listener"}},
		"mount key":        {map[string]section{"fake": {"mounts": section{"api": section{"prefix": "/"}}}}, []string{"plugins.fake.mounts.api.prefix: unknown key, did you mean prefixes?"}},
		"no map":           {map[string]section{"fake": {"mounts": "x"}}, []string{"plugins.fake.mounts: want a map by name"}},
		"mode":             {map[string]section{"fake": {"mode": "external"}}, []string{"plugins.fake.mode: want builtin or off, got external"}},
		"several":          {map[string]section{"fake": {"greeting": "", "x": 1}}, []string{"plugins.fake.x: unknown key", "plugins.fake.greeting: must not be empty"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			c.Sections = tt.sections
			_ = wantRefused(t, c, tt.want, &fake{})
		})
	}
}

// ARC-P12: addresses and prefixes of the manifest are defaults.
func TestOverrides(t *testing.T) {
	c := config(t)
	c.Sections = map[string]map[string]any{
		"fake": {"greeting": "moin", "mounts": map[string]any{"api": map[string]any{"prefixes": "/a, /b/c/"}}},
		"b":    {"mode": "off"},
		"d":    {"listeners": map[string]any{"own": map[string]any{"address": "off"}}},
	}
	own := func(m *plugin.Manifest) {
		m.Listeners = []plugin.Listener{{Name: "own", Network: "tcp", Address: ":0"}}
	}
	s := start(t, c, &fake{}, &fake{name: "b"}, &fake{name: "d", manifest: own})
	wantAnswer(t, s, "/a/x", 200, "moin")
	wantAnswer(t, s, "/b/c", 200, "moin")
	wantAnswer(t, s, "/b", 404, "404 page not found")
	wantAnswer(t, s, "/fake", 404, "404 page not found")
	if got := s.Addr("d", "own"); got != nil {
		t.Errorf("Addr(d, own) = %v, want none", got)
	}
}

// PRD-05: planes that need no login stay on loopback until somebody says
// otherwise.
func TestProtectedMode(t *testing.T) {
	closed := map[string]map[string]any{"fake": {"login": true}}
	open := map[string]map[string]any{"fake": {"login": false}}
	tests := map[string]struct {
		sections map[string]map[string]any
		bind     string
		allow    bool
		confined string
		refused  bool
		loopback bool
		access   string
	}{
		"login":               {sections: closed, access: "auth"},
		"login, in container": {sections: closed, confined: "in a container", access: "auth"},
		"open":                {sections: open, loopback: true, access: "loopback (protected)"},
		"open, bound to any":  {sections: open, bind: "0.0.0.0", loopback: true, access: "loopback (protected)"},
		"open, allowed":       {sections: open, allow: true, access: "open"},
		"open, in container":  {sections: open, confined: "in a container", refused: true},
		"allowed, container":  {sections: open, confined: "in a container", allow: true, access: "open"},
		"loopback, container": {sections: open, bind: "127.0.0.1", confined: "in a container", loopback: true, access: "loopback (protected)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sink, logs := observer.New(zap.InfoLevel)
			c := config(t)
			c.Bind, c.Sections, c.AllowUnauthenticated, c.Confined, c.Logger = tt.bind, tt.sections, tt.allow, tt.confined, zap.New(sink)
			own := func(m *plugin.Manifest) {
				m.Listeners = []plugin.Listener{{Name: "own", Network: "tcp", Address: ":0"}}
			}
			if tt.refused {
				err := wantRefused(t, c, []string{"in a container", "fake.login=true", "server.allow_unauthenticated=true"}, &fake{manifest: own})
				var refused *host.RefusedError
				if !errors.As(err, &refused) || refused.ExitCode() != 2 {
					t.Errorf("Start() = %v, want exit code 2", err)
				}
				return
			}
			s := start(t, c, &fake{manifest: own})
			for _, addr := range []net.Addr{s.Addr("", plugin.Main), s.Addr("fake", "own")} {
				if got := addr.(*net.TCPAddr).IP.IsLoopback(); got != tt.loopback {
					t.Errorf("bound to %v, want loopback %t", addr, tt.loopback)
				}
			}
			if got := logs.FilterMessage("listening").FilterField(zap.String("access", tt.access)).Len(); got != 2 {
				t.Errorf("lines with access %q = %d, want one for each listener\n%v", tt.access, got, logs.All())
			}
		})
	}
}

// A start that cannot succeed says why and what to do.
func TestClearErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	running := config(t)
	start(t, running)
	tests := map[string]struct {
		edit func(*Config)
		want []string
	}{
		"taken port":        {func(c *Config) { c.Port = taken.Addr().(*net.TCPAddr).Port }, []string{taken.Addr().String(), "address already in use", "choose another with nacos.server.main.port"}},
		"locked directory":  {func(c *Config) { c.Core.DataDir = running.Core.DataDir }, []string{running.Core.DataDir, "locked by another process"}},
		"no directory":      {func(c *Config) { c.Core.DataDir = file }, []string{"data directory", file, "not a directory"}},
		"newer format":      {func(c *Config) { age(t, c.Core) }, []string{"state.db", "format 99 is newer than 1", "upgrade"}},
		"no certificate":    {func(c *Config) { c.TLS.CertFile, c.TLS.KeyFile = "no.pem", "no.key" }, []string{"server.tls", "no.pem", "no such file"}},
		"TLS without files": {func(c *Config) { c.TLS.Only = true }, []string{"server.tls: no cert_file and key_file"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			tt.edit(&c)
			_ = wantRefused(t, c, tt.want, &fake{})
		})
	}
}

// age makes a data directory that a newer build would have written.
func age(t *testing.T, c core.Config) {
	t.Helper()
	n, err := core.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(c.DataDir, "state.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, 99))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A directory that the process may not read is told by its name.
func TestUnreadableDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	c := config(t)
	if err := os.Chmod(c.Core.DataDir, 0); err != nil {
		t.Fatal(err)
	}
	_ = wantRefused(t, c, []string{c.Core.DataDir, "permission denied"})
}

// An optional listener that nobody configured stays off when its port is taken,
// and the readiness document says so.
func TestOptionalListener(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	own := func(m *plugin.Manifest) {
		m.Listeners = []plugin.Listener{{Name: "own", Network: "tcp", Address: taken.Addr().String()}}
	}
	s := start(t, config(t), &fake{manifest: own})
	if _, body := get(t, "http://"+s.main()+"/health/ready"); !bytes.Contains([]byte(body), []byte(`"off":["fake/own"]`)) {
		t.Errorf("GET /health/ready = %s, want the listener that is off", body)
	}
	c := config(t)
	c.Sections = map[string]map[string]any{"fake": {"listeners": map[string]any{"own": map[string]any{"address": taken.Addr().String()}}}}
	_ = wantRefused(t, c, []string{"plugins.fake.listeners.own.address"}, &fake{manifest: own})
}
