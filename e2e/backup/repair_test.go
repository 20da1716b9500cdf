package backup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/e2e/node"
)

// damage changes a byte of the log where a content is.
func damage(t *testing.T, dir, content string) {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, []byte(content)); at >= 0 {
			b[at] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("the log does not hold %q", content)
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// damaged is the directory of a server whose log is damaged in its middle.
func damaged(t *testing.T) string {
	t.Helper()
	n := node.Run(t, node.Options{})
	for i := range 9 {
		mustPublish(t, n, fmt.Sprint("item-", i), fmt.Sprintf("the content number %d", i))
	}
	n.Stop()
	damage(t, n.Data, "the content number 4")
	return n.Data
}

// command finds the command line that a text tells to run.
func command(t *testing.T, text, name string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "batata "+name)
	if !ok {
		t.Fatalf("%q names no batata %s", text, name)
	}
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.TrimRight(strings.TrimSpace(line), `"}`)
	return append(strings.Fields(name), strings.Fields(line)...)
}

// REL-03: a server whose log is damaged in the middle refuses to start with an exit
// code of its own; the commands that it and its successors print, run as they are,
// end with a server that has everything.
func TestRepair(t *testing.T) {
	n := node.New(t, node.Options{Data: damaged(t)})
	if err := n.Spawn(); err != nil {
		t.Fatal(err)
	}
	if code := n.ExitCode(); code != 3 {
		t.Errorf("exit code = %d, want 3; log: %s", code, n.Log())
	}
	verify := command(t, n.Log(), "admin raft verify")
	out, err := batata(t, bin(), verify...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "damaged ") || !strings.Contains(string(out), "nothing that was acknowledged is lost") {
		t.Fatalf("%s = %s, %v", verify, out, err)
	}
	output(t, command(t, string(out), "admin raft truncate")...)
	if out := output(t, verify...); !strings.Contains(out, "nothing is damaged") {
		t.Errorf("verify = %s", out)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		if got, want := read(t, n, fmt.Sprint("item-", i)), fmt.Sprintf("the content number %d", i); got != want {
			t.Errorf("item-%d = %q, want %q", i, got, want)
		}
	}
	mustPublish(t, n, "more", "v")
	if out, err := batata(t, bin(), verify...).CombinedOutput(); err == nil || !strings.Contains(string(out), "a server runs on") {
		t.Errorf("verify beside a server = %s, %v", out, err)
	}
}

// What is forgotten has to be named before force-new-cluster does anything.
func TestForceNewClusterAsks(t *testing.T) {
	n := node.Run(t, node.Options{})
	mustPublish(t, n, "item", "v")
	n.Stop()
	args := []string{"admin", "raft", "force-new-cluster", "--data-dir", n.Data}
	cmd := batata(t, bin(), args...)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "add --lose-members") {
		t.Errorf("force-new-cluster = %s, %v, want a refusal", out, err)
	}
	output(t, append(args, "--lose-members")...)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, n, "item"); got != "v" {
		t.Errorf("item = %q, want v", got)
	}
}

// STY-68: a repair that ends at any of its steps can be run again, and a server
// starts afterwards with everything.
func repairFailpoints(t *testing.T, built node.Instrumented) {
	t.Helper()
	whole := damaged(t)
	walked := 0
	for _, point := range built.Points {
		if !strings.HasPrefix(point, "repair") {
			continue
		}
		walked++
		t.Run(point, func(t *testing.T) {
			n := node.New(t, node.Options{Data: filepath.Join(t.TempDir(), "data")})
			copyDir(t, whole, n.Data)
			args := []string{"admin", "raft", "truncate", "--data-dir", n.Data}
			cmd := batata(t, built.Binary, args...)
			cmd.Env = append(os.Environ(), "GOFAIL_FAILPOINTS="+point+"=panic")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "panic") {
				t.Fatalf("truncate = %q, %v, want it to end at %s", out, err, point)
			}
			out, err := batata(t, bin(), args...).CombinedOutput()
			if err != nil && !strings.Contains(string(out), "nothing is damaged") {
				t.Errorf("truncate again = %q, %v", out, err)
			}
			if err := n.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range 9 {
				if got, want := read(t, n, fmt.Sprint("item-", i)), fmt.Sprintf("the content number %d", i); got != want {
					t.Errorf("item-%d = %q, want %q", i, got, want)
				}
			}
		})
	}
	if walked != 3 {
		t.Errorf("%d failpoints, want three", walked)
	}
}
