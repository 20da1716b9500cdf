package clustersdk

import (
	"bufio"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/node"
)

// scripts/cluster-local.sh starts three members with one command; they form one
// cluster, and all end with the script.
func TestClusterLocal(t *testing.T) {
	dir, base := t.TempDir(), localPorts(t)
	cmd := exec.Command(filepath.Join(node.Root(), "scripts", "cluster-local.sh"))
	cmd.Env = append(os.Environ(), "LOCAL_CLUSTER_DIR="+dir, "LOCAL_CLUSTER_PORT="+strconv.Itoa(base))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(2*time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer limit.Stop()
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()

	var lines []string
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		lines = append(lines, scan.Text())
		if strings.HasPrefix(scan.Text(), "Ctrl-C") {
			break
		}
	}
	said := strings.Join(lines, "\n")
	if up := strings.Count(said, " up "); up != 3 || strings.Count(said, " leader ") != 1 {
		t.Fatalf("%d members are up, want 3 and one that leads:\n%s", up, said)
	}
	if info, err := os.Stat(filepath.Join(dir, "secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret = %v, %v, want a file that nobody else can read", info, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for scan.Scan() { // to the end of the script and all it started
		lines = append(lines, scan.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the script ended with %v", err)
	}
	for i := 1; i <= 3; i++ {
		text, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)+".log"))
		if err != nil || !strings.Contains(string(text), "batata stopped") {
			t.Errorf("member %d did not end well: %v\n%s", i, err, text)
		}
	}
}

// localPorts is a main port as the script takes it: those of the other members lie
// 10 and 20 above, and each has two more, 1000 and 1001 above its own. They lie below
// those that connections take.
func localPorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		base := 20_000 + rand.IntN(10_000)
		if !slices.ContainsFunc([]int{0, 10, 20, 1000, 1001, 1010, 1011, 1020, 1021}, func(above int) bool {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+above))
			if err == nil {
				_ = l.Close()
			}
			return err != nil
		}) {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}
