package cluster

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/cluster/netfault"
)

// smallLog makes members cut their log soon, so that one that was away needs a
// snapshot.
const smallLog = 64 << 10

// put writes a row through a member.
func (s *site) put(w *web, i int, key, value string) error {
	var ok bool
	form := url.Values{"key": {key}, "value": {value}}
	return w.call(s.t.Context(), s.c.Nodes[i].URL()+"/kv/write", "application/x-www-form-urlencoded", form.Encode(), &ok)
}

func (s *site) get(w *web, i int, key string) (got string, err error) {
	form := url.Values{"key": {key}}
	err = w.call(s.t.Context(), s.c.Nodes[i].URL()+"/kv/read", "application/x-www-form-urlencoded", form.Encode(), &got)
	return got, err
}

// fill writes so many rows of so many bytes through the leader, and returns what
// the last is.
func (s *site) fill(w *web, round, rows, size int) {
	s.t.Helper()
	for k := range rows {
		members.Eventually(s.t, "a row is taken", func() error {
			return s.put(w, s.c.Leader(), fmt.Sprint("row-", k), rowValue(round, k, size))
		})
	}
}

func rowValue(round, k, size int) string {
	return fmt.Sprintf("round %d row %d ", round, k) + strings.Repeat("x", size)
}

// complete wants a member to hold every row of a round.
func (s *site) complete(w *web, i, round, rows, size int) {
	s.t.Helper()
	for k := range rows {
		members.Eventually(s.t, "a member answers", func() error {
			got, err := s.get(w, i, fmt.Sprint("row-", k))
			if err == nil && got != rowValue(round, k, size) {
				s.t.Errorf("member %d has %.30q in row %d, want round %d", i, got, k, round)
			}
			return err
		})
	}
}

// REL-11: a follower that was down beyond the log gets a snapshot; a second one may
// come right behind; the sender or the receiver is killed, or their link cut, while
// it is under way. The row is as it was, or as it is, and in the end as it is.
// Snapshots here have 20 MB: one of a gigabyte is a test by hand.
func TestSnapshots(t *testing.T) {
	onlyLong(t)
	s := newCore(t, 3, smallLog)
	w := newWeb()
	defer w.close()
	const rows, size = 20, 1 << 20
	for round, what := range []string{"plain", "two", "sender", "receiver", "link", "twice killed"} {
		victim := s.c.Followers()[s.rng.IntN(2)]
		s.c.Nodes[victim].Kill()
		s.fill(w, round, rows, size)
		s.logCut(w, s.c.Leader())
		begin := time.Now()
		s.c.Spawn(victim)
		switch what {
		case "two":
			s.fill(w, round, rows, size)
		case "sender":
			lead := s.c.Leader(victim)
			s.wait(400 * time.Millisecond)
			s.c.Nodes[lead].Kill()
			s.c.Start(lead)
		case "receiver", "twice killed":
			for range round - 2 {
				s.wait(600 * time.Millisecond)
				s.c.Nodes[victim].Kill()
				s.c.Spawn(victim)
			}
		case "link":
			s.wait(400 * time.Millisecond)
			s.c.Net.Isolate(victim, netfault.Link{Cut: true})
			members.Wait(t, 2*time.Second)
			s.c.Net.Heal()
		}
		s.c.Ready(victim)
		s.complete(w, victim, round, rows, size)
		installed := s.c.Metric(victim, "snapshots")
		t.Logf("%s: member %d has everything after %v, %v snapshots installed", what, victim, time.Since(begin).Round(time.Millisecond), installed)
		if what == "plain" && installed == 0 {
			t.Error("no snapshot was needed: this test says nothing")
		}
	}
}

// logCut lets a member persist what it has, and cut its log behind it.
func (s *site) logCut(w *web, i int) {
	s.t.Helper()
	for n := range 10 {
		members.Wait(s.t, 200*time.Millisecond)
		members.Eventually(s.t, "a row is taken", func() error { return s.put(w, i, "more", fmt.Sprint(n)) })
	}
}
