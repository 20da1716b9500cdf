package cluster

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

var errStillLeads = errors.New("it still leads")

// REL-10: the leader is killed under load, several times; nothing that was
// acknowledged is lost, and the others go on within two elections.
func TestLeaderKilled(t *testing.T) {
	s := newSite(t, members.Options{})
	for range either(2, 6) {
		s.more(10)
		lead := s.c.Leader()
		begin := time.Now()
		s.c.Nodes[lead].Kill()
		next := s.c.Leader(lead)
		t.Logf("member %d led %v after member %d was killed", next, time.Since(begin).Round(time.Millisecond), lead)
		s.more(5)
		s.restart(lead)
		s.c.Voters(3)
	}
	s.judge()
}

// REL-10, GOAL-21: members are stopped and started one after another under load,
// the leader included; a write fails only when its own member is down.
func TestRollingRestart(t *testing.T) {
	s := newSite(t, members.Options{})
	for i := range 3 {
		s.more(5)
		s.c.Nodes[i].Stop()
		s.more(5)
		s.restart(i)
		s.c.Voters(3)
	}
	o, _ := s.judge()
	// Each writer may lose what was under way at a stop, and the connections
	// that it finds closed: no more.
	if limit := int64(len(s.writers.all)) * 3 * 3; o.fails > limit {
		t.Errorf("failed writes = %d, want at most %d", o.fails, limit)
	}
	for i, n := range s.c.Nodes {
		if log := n.Log(); !strings.Contains(log, `"step": "hand over leadership"`) || strings.Contains(log, "stop step failed") {
			t.Errorf("member %d did not hand over in order", i)
		}
	}
}

// REL-09: the leader is paused for longer than an election; when it wakes up, it
// does not believe that it leads, answers no read with what is old, and what the
// others have taken meanwhile is there.
func TestLeaderPaused(t *testing.T) {
	s := newSite(t, members.Options{})
	for range either(1, 3) {
		s.more(30)
		lead := s.c.Leader()
		s.c.Nodes[lead].Signal(syscall.SIGSTOP)
		next := s.c.Leader(lead)
		members.Wait(t, time.Duration(1+s.rng.IntN(either(2, 15)))*time.Second)
		s.c.Nodes[lead].Signal(syscall.SIGCONT)
		members.Eventually(t, "it follows", func() error {
			if s.c.Leads(lead) {
				return errStillLeads
			}
			return nil
		})
		s.more(30)
		t.Logf("member %d was paused, member %d led", lead, next)
	}
	s.staleKnown()
}

// fallbacks is how many reads members have answered from local state since they
// started.
func (s *site) fallbacks() (sum float64) {
	for i := range s.c.Nodes {
		sum += s.c.Metric(i, "batata_core_fresh_fallbacks_total")
	}
	return sum
}

// restartLimit is what REL-01 allows from the start of a process to readiness,
// where there is a leader.
const restartLimit = 2 * time.Second

// restart starts a member that finds a leader.
func (s *site) restart(i int) {
	s.t.Helper()
	s.starts = append(s.starts, s.c.Start(i))
}

// REL-12, ARC-R12: a member loses its disk and comes back as a new one; one more
// is removed by command, ends with a reason, and nothing is lost.
func TestDiskReplaced(t *testing.T) {
	s := newSite(t, members.Options{})
	s.more(5)
	lead := s.c.Leader()
	gone := (lead + 1) % 3
	s.wipe(gone)
	s.c.Start(gone)
	s.c.Voters(3)
	s.more(5)
	s.judge()

	out, err := s.c.CLI(lead, "remove", s.c.Address(gone))
	if err != nil || out != "removed\n" {
		t.Fatalf("cluster remove = %q, %v", out, err)
	}
	n := s.c.Nodes[gone]
	if code := s.c.Exit(gone); code != 1 || !strings.Contains(n.Log(), "was removed from the cluster") {
		t.Errorf("exit code = %d, want 1 and the reason in the log", code)
	}
	s.c.Spawn(gone) // its data is still there
	if code := s.c.Exit(gone); code == 0 {
		t.Error("a removed member started again")
	}
}

// wipe kills a member and empties its disk.
func (s *site) wipe(i int) {
	s.t.Helper()
	s.c.Nodes[i].Kill()
	if err := os.RemoveAll(s.c.Nodes[i].Data); err != nil {
		s.t.Fatal(err)
	}
}
