package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// REL-01: members are killed at random under load, one, a quorum of them or all,
// and come back; nothing that was acknowledged is lost.
func TestKilled(t *testing.T) {
	s := newSite(t, members.Options{Count: either(3, 5)})
	all := len(s.c.Nodes)
	var late []time.Duration
	for range either(5, 25) {
		s.more(5)
		s.wait(300 * time.Millisecond)
		victims := s.rng.Perm(all)[:s.count(all)]
		t.Logf("members %v are killed", victims)
		for _, i := range victims {
			s.c.Nodes[i].Kill()
		}
		s.wait(500 * time.Millisecond)
		if quorum := all/2 + 1; all-len(victims) >= quorum {
			s.c.Leader(victims...)
			for _, i := range victims {
				s.restart(i)
			}
			continue
		}
		took := s.c.Start(victims...)
		t.Logf("ready again after %v", took.Round(time.Millisecond))
		late = append(late, took)
	}
	s.c.Voters(all)
	s.judge()
	slices.Sort(late)
	if limit := restartLimit + electionLimit; len(late) > 0 && late[len(late)/2] > limit {
		t.Errorf("members without a leader were ready after %v, want at most %v", late[len(late)/2], limit)
	}
}

// electionLimit is how long a group without a leader may need for one: two
// rounds.
const electionLimit = 4 * time.Second

// count draws how many members are killed: mostly one, at times a quorum or all.
func (s *site) count(all int) int {
	switch s.rng.IntN(4) {
	case 0:
		return all/2 + 1
	case 1:
		return all
	}
	return 1
}
