package cluster

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// REL-10: the leader is killed under load, several times; nothing that was
// acknowledged is lost, and the others go on within two elections.
func TestLeaderKilled(t *testing.T) {
	m := run(t)
	l := m.load(6)
	for range 3 {
		l.more(t, 20)
		lead := m.leader()
		begin := time.Now()
		m.nodes[lead].Kill()
		next := m.leader(lead)
		t.Logf("member %d led %v after member %d was killed", next, time.Since(begin).Round(time.Millisecond), lead)
		l.more(t, 5)
		if err := m.nodes[lead].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.voters(3)
	}
	acked := l.acked()
	fails, gap := l.stop(t, m)
	t.Logf("%d writes acknowledged, %d failed, longest pause of a writer %v", acked, fails, gap.Round(time.Millisecond))
}

// REL-10, GOAL-21: members are stopped and started one after another under load,
// the leader included; a write fails only when its own member is down.
func TestRollingRestart(t *testing.T) {
	m := run(t)
	l := m.load(6)
	for i := range 3 {
		l.more(t, 10)
		m.nodes[i].Stop()
		l.more(t, 5)
		if err := m.nodes[i].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.voters(3)
	}
	acked := l.acked()
	fails, gap := l.stop(t, m)
	t.Logf("%d writes acknowledged, %d failed, longest pause of a writer %v", acked, fails, gap.Round(time.Millisecond))
	// Each writer may lose what was under way at a stop, and the connections
	// that it finds closed: no more.
	if limit := int64(len(l.writers)) * 3 * 3; fails > limit {
		t.Errorf("failed writes = %d, want at most %d", fails, limit)
	}
}

// REL-09: the leader is paused for longer than an election; when it wakes up, it
// does not believe that it leads, and what the others have taken meanwhile is
// there.
func TestLeaderPaused(t *testing.T) {
	m := run(t)
	l := m.load(6)
	l.more(t, 10)
	lead := m.leader()
	m.nodes[lead].Signal(syscall.SIGSTOP)
	next := m.leader(lead)
	pause := time.NewTimer(3 * time.Second)
	defer pause.Stop()
	<-pause.C
	m.nodes[lead].Signal(syscall.SIGCONT)
	eventually(t, "it follows", func() error {
		if strings.Contains(m.metrics(lead), "\nbatata_core_leader 1") {
			return errStillLeads
		}
		return nil
	})
	l.more(t, 10)
	if got := m.leader(); got != next {
		t.Logf("member %d leads, not %d", got, next)
	}
	fails, gap := l.stop(t, m)
	t.Logf("%d failed, longest pause of a writer %v", fails, gap.Round(time.Millisecond))
}

// REL-12, ARC-R12: a member loses its disk and comes back as a new one; one more
// is removed by command, ends with a reason, and nothing is lost.
func TestDiskReplaced(t *testing.T) {
	m := run(t)
	l := m.load(3)
	l.more(t, 10)
	lead := m.leader()
	gone := (lead + 1) % 3
	m.nodes[gone].Kill()
	if err := os.RemoveAll(m.nodes[gone].Data); err != nil {
		t.Fatal(err)
	}
	if err := m.nodes[gone].Spawn(); err != nil {
		t.Fatal(err)
	}
	m.ready(m.nodes[gone])
	m.voters(3)
	l.more(t, 10)
	l.stop(t, m)

	out, err := m.cluster(lead, "remove", strings.TrimPrefix(m.nodes[gone].URL(), "http://"))
	if err != nil || out != "removed\n" {
		t.Fatalf("cluster remove = %q, %v", out, err)
	}
	if code := m.nodes[gone].ExitCode(); code != 1 || !strings.Contains(m.nodes[gone].Log(), "was removed from the cluster") {
		t.Errorf("exit code = %d, want 1 and the reason in the log", code)
	}
	if err := m.nodes[gone].Spawn(); err != nil { // its data is still there
		t.Fatal(err)
	}
	if code := m.nodes[gone].ExitCode(); code == 0 {
		t.Error("a removed member started again")
	}
}
