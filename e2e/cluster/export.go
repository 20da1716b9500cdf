package cluster

import (
	"testing"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
)

// Members are three processes of one cluster, for suites in other packages that
// need no faults; those that do use package members.
type Members struct{ c *members.Cluster }

// Run starts three members and waits until all have a vote; the sets are keys as
// of node.Options. They end with the test.
func Run(t *testing.T, sets ...string) *Members {
	t.Helper()
	return &Members{members.Run(t, members.Options{Sets: sets})}
}

// Nodes are the processes, to be killed, stopped and started.
func (m *Members) Nodes() []*node.Node { return m.c.Nodes }

// Voters waits until so many members are up and have a vote.
func (m *Members) Voters(n int) { m.c.Voters(n) }

// Leader waits for a leader and returns the number of its node.
func (m *Members) Leader() int { return m.c.Leader() }

// Metrics is the page of a member; empty when it does not answer.
func (m *Members) Metrics(i int) string { return m.c.Metrics(i) }
