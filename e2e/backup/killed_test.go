package backup

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

// taken is a backup of a server with one config.
func taken(t *testing.T) string {
	t.Helper()
	n := node.Run(t, node.Options{})
	mustPublish(t, n, "item", "v")
	mustPublish(t, n, "large", strings.Repeat("x", 1<<20))
	file := filepath.Join(t.TempDir(), "b")
	output(t, "backup", file, "--data-dir", n.Data)
	n.Stop()
	return file
}

// whole wants a directory to start and to hold what was backed up.
func whole(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, n, "item"); got != "v" {
		t.Errorf("item = %q, want v", got)
	}
	files, err := os.ReadDir(n.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "restore.") {
			t.Errorf("%s is left", f.Name())
		}
	}
}

// REL-22: a restore that is killed leaves a directory that no server starts on,
// that says what to do, and that the next restore takes.
func TestRestoreKilled(t *testing.T) {
	file := taken(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := node.New(t, node.Options{})
	cmd := batata(t, bin(), "restore", "-", "--data-dir", n.Data)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(in, bytes.NewReader(data[:len(data)/2])); err != nil {
		t.Fatal(err)
	}
	members.Eventually(t, "it has begun", func() error {
		left, _ := filepath.Glob(filepath.Join(n.Data, "restore.building.*", "state.db"))
		if len(left) == 0 {
			return os.ErrNotExist
		}
		return nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	if err := n.Spawn(); err != nil {
		t.Fatal(err)
	}
	if code := n.ExitCode(); code != 1 || !strings.Contains(n.Log(), "batata restore --data-dir "+n.Data) {
		t.Errorf("exit code = %d, want 1 and the command; log: %s", code, n.Log())
	}
	output(t, "restore", file, "--data-dir", n.Data)
	whole(t, n)
	n.Stop()
	out, err := batata(t, bin(), "restore", file, "--data-dir", n.Data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "holds data already") {
		t.Errorf("restore over data = %q, %v, want a refusal", out, err)
	}
	whole(t, n)
}

// REL-01, STY-68: a restore that ends at any of its steps is ended by the next
// start, or done again by the next restore.
func TestFailpoints(t *testing.T) {
	built := node.Instrument(t)
	repairFailpoints(t, built)
	file := taken(t)
	walked := 0
	for _, point := range built.Points {
		if !strings.HasPrefix(point, "backup") {
			continue
		}
		walked++
		t.Run(point, func(t *testing.T) {
			n := node.New(t, node.Options{})
			cmd := batata(t, built.Binary, "restore", file, "--data-dir", n.Data)
			cmd.Env = append(os.Environ(), "GOFAIL_FAILPOINTS="+point+"=panic")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "panic") {
				t.Fatalf("restore = %q, %v, want it to end at %s", out, err, point)
			}
			if err := n.Spawn(); err != nil {
				t.Fatal(err)
			}
			if n.WaitReady(t.Context()) == nil {
				n.Stop()
				whole(t, n)
				return
			}
			output(t, "restore", file, "--data-dir", n.Data)
			whole(t, n)
		})
	}
	if walked < 5 {
		t.Errorf("%d failpoints, want five", walked)
	}
}
