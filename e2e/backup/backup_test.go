package backup

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

// REL-22: a backup under load, taken by a slow reader, is one moment, holds what was
// acknowledged before, and stops no writer; it is restored to one and to three, and members of the old cluster are refused.
func TestBackupUnderLoad(t *testing.T) {
	c := members.Run(t, members.Options{})
	for i := range 60 { // more than the buffers between the server and the reader
		mustPublish(t, c.Nodes[i%3], "large-"+string(rune('a'+i%26))+string(rune('a'+i/26)), strings.Repeat("x", 100<<10))
	}
	l := startLoad(c.Nodes, 2)
	members.Eventually(t, "every writer has written", func() error {
		if slices.Min(l.acked()) < 3 {
			return os.ErrNotExist
		}
		return nil
	})

	before := l.acked()
	from := c.Followers()[0]
	cmd := batata(t, bin(), "backup", "-", "--data-dir", c.Nodes[from].Data)
	var said bytes.Buffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var during [][]int64
	data := (&slow{r: pipe, pause: 500 * time.Millisecond, done: func() { during = append(during, l.acked()) }}).drain(t)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("backup: %v: %s", err, said.String())
	}
	if took := time.Since(begin); took < 11*time.Second || len(during) < 20 {
		t.Errorf("the backup took %v and %d pieces, want it slow", took, len(during))
	}
	for i := range l.pairs { // every writer was acknowledged again and again, while it was open
		got := during[len(during)-2][i] - during[1][i]
		if got < 5 {
			t.Errorf("writer %d was acknowledged %d times while the backup was read", i, got)
		}
	}
	l.stop(t)
	t.Logf("%s; %d writes before, %d when it ended", strings.TrimSpace(said.String()), sum(before), sum(during[len(during)-1]))

	file := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := clusterOf(t, c.Nodes[from].Data)
	for _, n := range c.Nodes {
		n.Stop()
	}

	check := func(n *node.Node) {
		t.Helper()
		for i, p := range l.pairs {
			a, b := number(t, n, p.first), number(t, n, p.second)
			if b < before[i] || a < b || a > b+1 {
				t.Errorf("writer %d: %d and %d, acknowledged before were %d", i, a, b, before[i])
			}
		}
		if got := len(read(t, n, "large-aa")); got != 100<<10 {
			t.Errorf("large-aa has %d bytes", got)
		}
	}

	one := node.New(t, node.Options{})
	output(t, "restore", file, "--data-dir", one.Data)
	if err := one.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(one)
	mustPublish(t, one, "after", "v")
	one.Stop()

	// Three: the restored one, one with an empty disk, and one of the old cluster.
	oldData := c.Nodes[2].Data
	c.Nodes[0].Data, c.Nodes[1].Data = t.TempDir(), t.TempDir()
	output(t, "restore", file, "--data-dir", c.Nodes[0].Data)
	c.Start(0)
	c.Spawn(1, 2)
	c.Ready(1)
	c.Voters(2)
	check(c.Nodes[1])
	members.Eventually(t, "the old member is refused", func() error {
		if !strings.Contains(c.Nodes[2].Log(), old) {
			return os.ErrNotExist
		}
		return nil
	})
	if got := clusterOf(t, c.Nodes[0].Data); got == old {
		t.Errorf("cluster = %s, the old one", got)
	}
	if c.Leads(2) {
		t.Error("the old member leads")
	}
	c.Nodes[2].Kill()
	if err := os.RemoveAll(oldData); err != nil {
		t.Fatal(err)
	}
	c.Start(2)
	c.Voters(3)
	for _, n := range c.Nodes {
		check(n)
	}
	mustPublish(t, c.Nodes[2], "after", "v")
	members.Eventually(t, "the others have it", func() error {
		if read(t, c.Nodes[0], "after") != "v" {
			return os.ErrNotExist
		}
		return nil
	})
}

func sum(ns []int64) (s int64) {
	for _, n := range ns {
		s += n
	}
	return s
}

// clusterOf is the id of the cluster of a member that runs.
func clusterOf(t *testing.T, dir string) string {
	t.Helper()
	var l struct {
		Cluster string `json:"cluster"`
	}
	if err := json.Unmarshal([]byte(output(t, "cluster", "list", "--json", "--data-dir", dir)), &l); err != nil || l.Cluster == "" {
		t.Fatalf("cluster list: %v", err)
	}
	return l.Cluster
}

// Nobody gets a backup through a port for clients, whoever he is.
func TestBackupIsLocal(t *testing.T) {
	n := node.Run(t, node.Options{})
	for _, path := range []string{"/admin/backup", "/nacos/admin/backup", "/v1/admin/backup"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s = %s, want 404", path, resp.Status)
		}
	}
	info, err := os.Stat(filepath.Join(n.Data, "admin.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket = %v, %v, want mode 0600", info.Mode(), err)
	}
}
