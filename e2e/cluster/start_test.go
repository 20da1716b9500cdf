package cluster

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

// REL-24: what keeps a member from starting is said with what to do about it, and
// the exit code tells.
func TestStartRefused(t *testing.T) {
	onlyLong(t)
	clustered := []string{"nacos.standalone=false", "nacos.member.list=127.0.0.1:8848"}
	secret := "cluster.secret=" + members.Secret
	for _, tt := range []struct {
		name, state string
		sets        []string
		want        []string // in the last line
	}{
		{"port taken", "main", nil, []string{"address already in use", "nacos.server.main.port"}},
		{"peer port taken", "peer", append(clustered, secret), []string{"address already in use", "cluster.port"}},
		{"unreadable directory", "file", nil, []string{"log", "not a directory"}},
		{"directory of another process", "locked", nil, []string{"state.db", "locked by another process"}},
		{"no secret", "", clustered, []string{"cluster.secret", "openssl rand"}},
		{"nobody listed", "", []string{"nacos.standalone=false", secret}, []string{"nacos.member.list"}},
		{"bad address", "", []string{"nacos.standalone=false", secret, "nacos.member.list=a:b:c,:"}, []string{"member"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := node.New(t, node.Options{Sets: tt.sets})
			obstruct(t, n, tt.state)
			if err := n.Spawn(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-n.Done():
			case <-time.After(20 * time.Second):
				t.Fatalf("it runs: %s", n.Log())
			}
			lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
			last := lines[len(lines)-1]
			t.Logf("exit code %d: %s", n.ExitCode(), last)
			if n.ExitCode() <= 0 {
				t.Errorf("exit code = %d, want one that tells of a failure", n.ExitCode())
			}
			for _, w := range tt.want {
				if !strings.Contains(last, w) {
					t.Errorf("last line = %q, want %q in it", last, w)
				}
			}
		})
	}
}

// obstruct puts something in a node's way.
func obstruct(t *testing.T, n *node.Node, what string) {
	t.Helper()
	switch what {
	case "main":
		taken(t, n.Port)
	case "peer":
		taken(t, n.Port+1001)
	case "file": // root reads everything else
		if err := os.WriteFile(filepath.Join(n.Data, "log"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	case "locked":
		node.Run(t, node.Options{Data: n.Data})
	}
}

func taken(t *testing.T, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}

// REL-24: a follower that starts first waits and says for whom, also when the name
// of a peer cannot be resolved, and goes on when the others come.
func TestStartOrder(t *testing.T) {
	onlyLong(t)
	c := members.New(t, members.Options{})
	c.Spawn(2)
	want := "no answer from"
	members.Eventually(t, "it says for whom it waits", func() error {
		if out, _ := c.CLI(2, "list"); !strings.Contains(out, want) && !strings.Contains(c.Nodes[2].Log(), want) {
			return errStillLeads
		}
		return nil
	})
	members.Wait(t, 2*time.Second)
	c.Spawn(1)
	members.Wait(t, time.Second)
	c.Spawn(0)
	c.Ready()
	c.Voters(3)

	lost := node.New(t, node.Options{Port: 0, Sets: []string{
		"nacos.standalone=false", "cluster.secret=" + members.Secret,
		"nacos.member.list=127.0.0.1:18848,no-such-host.invalid:8848", "cluster.advertise=127.0.0.1",
	}})
	if err := lost.Spawn(); err != nil {
		t.Fatal(err)
	}
	members.Eventually(t, "the name that cannot be resolved is told", func() error {
		if !strings.Contains(lost.Log(), "no-such-host.invalid") {
			return errStillLeads
		}
		return nil
	})
	select {
	case <-lost.Done():
		t.Errorf("it ended instead of waiting: %s", lost.Log())
	default:
	}
}
