package node

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// child is the environment variable that makes the test binary a server: its
// value says how it behaves.
const child = "NODE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch kind := os.Getenv(child); kind {
	case "":
		goleak.VerifyTestMain(m)
	case "broken":
		fmt.Fprintln(os.Stderr, "no disk")
		os.Exit(3)
	default:
		os.Exit(serve(kind))
	}
}

// serve prints its arguments and what the test gave it, is ready at once, and
// ends with 7 on SIGTERM.
func serve(kind string) int {
	fmt.Println(kind, os.Getenv("NODE_TEST_LIFE"), strings.Join(os.Args[1:], " "))
	stop := make(chan os.Signal, 1) // one signal ends it
	signal.Notify(stop, syscall.SIGTERM)
	_, rest, _ := strings.Cut(strings.Join(os.Args, " "), "nacos.server.main.port=")
	port, _, _ := strings.Cut(rest, " ")
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"code":0}`) }))
	}()
	<-stop
	return 7
}

func TestLives(t *testing.T) {
	n := New(t, Options{Binary: os.Args[0], Env: []string{child + "=good"}, Sets: []string{"a=b"}})
	tests := []struct {
		name string
		end  func()
		code int
	}{
		{"killed", n.Kill, -1},
		{"stopped", n.Stop, 7},
		{"killed again", n.Kill, -1},
	}
	for _, tt := range tests {
		if err := n.Start(t.Context(), "NODE_TEST_LIFE="+tt.name); err != nil {
			t.Fatalf("%s: Start() = %v, want no error", tt.name, err)
		}
		tt.end()
		tt.end() // ending twice is allowed
		if got := n.ExitCode(); got != tt.code {
			t.Errorf("%s: ExitCode() = %d, want %d", tt.name, got, tt.code)
		}
		want := fmt.Sprintf("good %s server --data-dir %s --set nacos.server.main.port=%d", tt.name, n.Data, n.Port)
		if got := n.Log(); !strings.Contains(got, want) || !strings.Contains(got, "--set a=b") {
			t.Errorf("%s: Log() = %q, want %q in it", tt.name, got, want)
		}
	}
}

func TestStartTellsWhyNot(t *testing.T) {
	n := New(t, Options{Binary: os.Args[0], Env: []string{child + "=broken"}})
	if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("Start() of a server that ends = %v, want its words", err)
	}
	if got := n.ExitCode(); got != 3 {
		t.Errorf("ExitCode() = %d, want 3", got)
	}
}

func TestFreePair(t *testing.T) {
	port := freePair(t)
	for _, p := range []int{port, port + 1000} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			t.Errorf("port %d of the pair is taken: %v", p, err)
			continue
		}
		_ = l.Close()
	}
}

// TestCopyTree: the copy holds what a build needs, and every failpoint is
// found.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	const point = "package p\n\nfunc f() {\n\t// gofail: var %s struct{}\n}\n"
	files := map[string]string{
		"go.work":               "go 1.26.0\n",
		"core/log.go":           fmt.Sprintf(point, "first") + fmt.Sprintf(point, "second"),
		"core/in/db.go":         fmt.Sprintf(point, "third"),
		"core/plain.go":         "package p\n// about gofail: var none\n",
		"core/log_test.go":      fmt.Sprintf(point, "inTest"),
		"core/testdata/x.go":    fmt.Sprintf(point, "inTestdata"),
		"e2e/node/node.go":      fmt.Sprintf(point, "inE2E"),
		".cache/core/old.go":    fmt.Sprintf(point, "inCache"),
		"server/page/index.htm": "embedded",
	}
	for name, data := range files {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := copyTree(from, to)
	want := map[string][]string{"core": {"first", "second"}, "core/in": {"third"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("copyTree() = %v, %v, want %v", got, err, want)
	}
	for name, data := range files {
		copied, err := os.ReadFile(filepath.Join(to, name))
		if needed := !strings.Contains(data, "var in"); needed != (err == nil) || needed && string(copied) != data {
			t.Errorf("copy of %s = %q, %v, want it: %t", name, copied, err, needed)
		}
	}
}
