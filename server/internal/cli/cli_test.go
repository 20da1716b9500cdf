package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// run executes one command line and returns its exit code and output.
func run(t *testing.T, s Settings, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	s.Name, s.Version, s.Out, s.Errors = "batata", "v1", &o, &e
	if s.Env == nil {
		s.Env = func(string) (string, bool) { return "", false }
	}
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	code = Execute(t.Context(), s, args)
	return code, o.String(), e.String()
}

func TestExecute(t *testing.T) {
	t.Chdir(t.TempDir()) // no configuration file
	served := func(context.Context, *conf.Values) error { return errors.New("served") }
	manifests := []plugin.Manifest{{
		Name: "hello", Version: "v2",
		Listeners: []plugin.Listener{{Name: "x", Network: "tcp", Address: ":1"}},
		Mounts:    []plugin.Mount{{Name: "api", Prefixes: []string{"/hello"}}},
	}}
	tests := map[string]struct {
		args     []string
		code     int
		out, err string // contained
	}{
		"server":       {[]string{"server"}, 1, "", "batata: served"},
		"default":      {nil, 1, "", "batata: served"},
		"version":      {[]string{"version"}, 0, "batata v1\n", ""},
		"plugins":      {[]string{"plugins"}, 0, "hello v2 x tcp :1, /hello\n", ""},
		"plugins json": {[]string{"plugins", "--json"}, 0, `[{"name":"hello","version":"v2","listeners":["x tcp :1"],"prefixes":["/hello"]}]`, ""},
		"bad flag":     {[]string{"--nope"}, 2, "", "unknown flag: --nope"},
		"bad argument": {[]string{"server", "x"}, 2, "", "unknown command"},
		"bad key":      {[]string{"server", "--set", "data_dri=x"}, 2, "", "did you mean data_dir?"},
		"cluster":      {[]string{"cluster", "list"}, 1, "", "no server is running on this data directory"},
		"transfer":     {[]string{"cluster", "transfer"}, 1, "", "--data-dir names another"},
		"remove":       {[]string{"cluster", "remove"}, 2, "", "accepts 1 arg"},
		"add":          {[]string{"cluster", "add", "a", "b"}, 2, "", "accepts 1 arg"},
		"backup":       {[]string{"backup", "f"}, 1, "", "no server is running on this data directory (--data-dir names another)"},
		"backup where": {[]string{"backup"}, 2, "", "accepts 1 arg"},
		"restore what": {[]string{"restore"}, 2, "", "accepts 1 arg"},
		"no such file": {[]string{"restore", "none"}, 1, "", "no such file"},
		"not a backup": {[]string{"restore", "-"}, 1, "", "not a backup, or damaged: it is cut off"},
		"verify":       {[]string{"admin", "raft", "verify", "--data-dir", "none"}, 1, "", "none is no data directory"},
		"truncate":     {[]string{"admin", "raft", "truncate", "--data-dir", "none"}, 1, "", "none is no data directory"},
		"new cluster":  {[]string{"admin", "raft", "force-new-cluster", "--data-dir", "none"}, 1, "", "none is no data directory"},
		"not running":  {[]string{"health", "--set", "nacos.server.main.port=1"}, 1, "", "ask server"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, Settings{Serve: served, Manifests: manifests}, tt.args...)
			if code != tt.code {
				t.Errorf("exit code = %d, want %d (%s)", code, tt.code, errs)
			}
			if !strings.Contains(out, tt.out) {
				t.Errorf("output = %q, want %q in it", out, tt.out)
			}
			if !strings.Contains(errs, tt.err) {
				t.Errorf("errors = %q, want %q in it", errs, tt.err)
			}
		})
	}
}

func TestPrintMembers(t *testing.T) {
	var out bytes.Buffer
	if err := printMembers(&out, admin.List{Members: []admin.Member{
		{ID: "1a", Name: "one", Main: "h:1", Peer: "h:2", State: "up", Role: "leader", Self: true, Breaker: "closed", Version: "v1"},
		{ID: "2b", Name: "two", Main: "g:1", Peer: "g:2", State: "down", Role: "voter", Breaker: "open"},
	}}); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"ID   NAME  MAIN  PEER  STATE  ROLE    BREAKER  VERSION\n" +
		"1a*  one   h:1   h:2   up     leader  closed   v1\n" +
		"2b   two   g:1   g:2   down   voter   open     \n"
	if out.String() != want {
		t.Errorf("printMembers() = %q, want %q", out.String(), want)
	}
	out.Reset()
	if err := printMembers(&out, admin.List{Waits: "no answer from a"}); err != nil || !strings.Contains(out.String(), "waiting: no answer from a") {
		t.Errorf("printMembers() of one that waits = %q, %v", out.String(), err)
	}
}

// PRD-10: flags reach the configuration.
func TestServerFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	var got *conf.Values
	s := Settings{Serve: func(_ context.Context, v *conf.Values) error { got = v; return nil }}
	if code, _, errs := run(t, s, "server", "--data-dir", "d", "--set", "log.level=debug", "--set", "nacos.server.main.port=7"); code != 0 {
		t.Fatalf("exit code = %d: %s", code, errs)
	}
	if got.Text("data_dir") != "d" || got.Text("log.level") != "debug" || got.Int("nacos.server.main.port") != 7 {
		t.Errorf("values = %q %q %d, want d debug 7", got.Text("data_dir"), got.Text("log.level"), got.Int("nacos.server.main.port"))
	}
}

func TestHealth(t *testing.T) {
	t.Chdir(t.TempDir())
	status := http.StatusOK
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/ready" {
			t.Errorf("path = %q, want /health/ready", r.URL.Path)
		}
		w.WriteHeader(status)
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	port := "nacos.server.main.port=" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if code, out, errs := run(t, Settings{}, "health", "--set", port); code != 0 || out != "ready\n" {
		t.Errorf("health = %d %q %q, want 0 ready", code, out, errs)
	}
	status = http.StatusServiceUnavailable
	if code, _, errs := run(t, Settings{}, "health", "--set", port); code != 1 || !strings.Contains(errs, "not ready") {
		t.Errorf("health of an unready server = %d %q, want 1", code, errs)
	}
}

// PRD-12: on a stopped node the password comes from standard input.
func TestAdminInitOffline(t *testing.T) {
	t.Chdir(t.TempDir())
	var user, password string
	s := Settings{
		In: strings.NewReader("a long password\n"),
		InitOffline: func(_ context.Context, _ *conf.Values, u string, p []byte) error {
			user, password = u, string(p)
			return nil
		},
	}
	code, out, errs := run(t, s, "admin", "init")
	if code != 0 || out != "administrator nacos created\n" {
		t.Fatalf("admin init = %d %q %q", code, out, errs)
	}
	if user != "nacos" || password != "a long password" {
		t.Errorf("InitOffline(%q, %q), want nacos and the line without its end", user, password)
	}
}

func TestFirstPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env  map[string]string
		want string
		fail bool
	}{
		"none":    {nil, "", false},
		"text":    {map[string]string{"BATATA_ADMIN_PASSWORD": "from text"}, "from text", false},
		"file":    {map[string]string{"BATATA_ADMIN_PASSWORD_FILE": path, "BATATA_ADMIN_PASSWORD": "x"}, "from file", false},
		"no file": {map[string]string{"BATATA_ADMIN_PASSWORD_FILE": path + "x"}, "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got, err := FirstPassword(func(n string) (string, bool) { v, ok := tt.env[n]; return v, ok })
			if string(got) != tt.want || (err != nil) != tt.fail {
				t.Errorf("FirstPassword() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
