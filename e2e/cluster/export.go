package cluster

import (
	"testing"

	"github.com/easynet-cn/batata/e2e/node"
)

// Members are three processes of one cluster, for suites in other packages.
type Members = members

// Run starts three members and waits until all have a vote; the sets are keys as
// of node.Options. They end with the test.
func Run(t *testing.T, sets ...string) *Members {
	t.Helper()
	return run(t, sets...)
}

// Nodes are the processes, to be killed, stopped and started.
func (m *members) Nodes() []*node.Node { return m.nodes }

// Voters waits until so many members are up and have a vote.
func (m *members) Voters(n int) {
	m.tb.Helper()
	m.voters(n)
}

// Leader waits for a leader and returns the number of its node.
func (m *members) Leader() int {
	m.tb.Helper()
	return m.leader()
}

// Metrics is the page of a member; empty when it does not answer.
func (m *members) Metrics(i int) string { return m.metrics(i) }
