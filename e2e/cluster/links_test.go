package cluster

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/cluster/netfault"
)

// onlyLong skips what only the long set holds.
func onlyLong(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("only in the long set: make chaos")
	}
}

func (s *site) term(i int) float64 { return s.c.Metric(i, "batata_core_raft_term") }

// REL-07, PreVote: a follower that is cut off keeps nobody from working, and its
// return deposes nobody.
func TestFollowerIsolated(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{Faults: true})
	for range 3 {
		s.more(10)
		lead, term := s.c.Leader(), s.term(s.c.Leader())
		gone := s.c.Followers()[s.rng.IntN(2)]
		s.c.Net.Isolate(gone, netfault.Link{Cut: true})
		s.refuses(gone)
		s.taken(lead)
		s.wait(5 * time.Second)
		s.c.Net.Heal()
		s.taken(gone)
		if got := s.c.Leader(); got != lead || s.term(lead) != term {
			t.Errorf("member %d leads in term %v after member %d came back, want member %d in term %v", got, s.term(got), gone, lead, term)
		}
	}
	s.staleKnown()
}

// REL-07: bytes of one direction are lost, from the leader or to it.
func TestOneWay(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{Faults: true})
	for round := range 6 {
		s.more(10)
		lead := s.c.Leader()
		others := s.c.Followers()
		if round%3 == 2 { // one link only: the third member reaches both
			others = others[:1]
		}
		for _, i := range others {
			if round%2 == 0 {
				s.c.Net.Set(lead, i, netfault.Link{Cut: true})
			} else {
				s.c.Net.Set(i, lead, netfault.Link{Cut: true})
			}
		}
		members.Wait(t, 2*time.Second)
		begin := time.Now()
		s.more(5)
		t.Logf("round %d: leader %d before, %d now, the load got on within %v", round, lead, s.c.Leader(), time.Since(begin).Round(time.Millisecond))
		s.c.Net.Heal()
	}
	s.staleKnown()
}

// REL-07: two of five members are parted from three; only the three go on.
func TestMinority(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{Count: 5, Faults: true})
	for round := range 3 {
		s.more(10)
		lead := s.c.Leader()
		few := []int{lead, (lead + 1) % 5}
		if round%2 == 1 { // the leader is among the many
			few = []int{(lead + 1) % 5, (lead + 2) % 5}
		}
		s.part(few, netfault.Link{Cut: true})
		for _, i := range few {
			s.refuses(i)
		}
		s.taken(s.c.Leader(few...))
		s.wait(2 * time.Second)
		s.c.Net.Heal()
		for _, i := range few {
			s.follows2(i, few, lead)
		}
	}
	s.staleKnown()
}

// part cuts some members off from all others.
func (s *site) part(few []int, l netfault.Link) {
	for i := range s.c.Nodes {
		for _, j := range few {
			if !slices.Contains(few, i) {
				s.c.Net.Between(i, j, l)
			}
		}
	}
}

// follows2 waits until a member of a minority is in order again.
func (s *site) follows2(i int, few []int, lead int) {
	s.t.Helper()
	if slices.Contains(few, lead) {
		s.follows(i)
		return
	}
	s.taken(i)
}

// REL-07: links come and go, faster than anybody is elected.
func TestFlapping(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{Faults: true})
	s.more(10)
	before := s.term(s.c.Leader())
	for range 40 {
		a := s.rng.IntN(3)
		b := (a + 1 + s.rng.IntN(2)) % 3
		l := netfault.Link{Cut: true}
		if s.rng.IntN(3) == 0 {
			l = netfault.Link{Refuse: true}
		}
		s.c.Net.Between(a, b, l)
		s.wait(400 * time.Millisecond)
		s.c.Net.Heal()
		s.wait(200 * time.Millisecond)
	}
	s.more(10)
	t.Logf("terms: %v before, %v after 40 cuts", before, s.term(s.c.Leader()))
	s.staleKnown()
}

// REL-08: delays and losses do not make terms grow: whoever hears a leader late
// asks before it stands for election. Reordering is not among them: within a
// connection TCP undoes it, and two connections are not ordered anyway.
func TestSlowLinks(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{Faults: true})
	for _, l := range []netfault.Link{
		{Delay: 75 * time.Millisecond, Jitter: 50 * time.Millisecond},
		{Drop: 0.5},
	} {
		s.more(10)
		before := s.term(s.c.Leader())
		s.c.Net.All(l)
		length := 10 * time.Second
		if l.Drop > 0 {
			length = time.Second
		}
		members.Wait(t, length)
		if l.Drop == 0 {
			s.more(2)
		}
		s.c.Net.Heal()
		s.more(2)
		after := s.term(s.c.Leader())
		t.Logf("%+v: term %v before, %v after, %d pieces lost", l, before, after, s.c.Net.Lost())
		if after > before+2 {
			t.Errorf("the term grew from %v to %v", before, after)
		}
	}
	s.staleKnown()
}

// REL-09: a follower is paused for long, and then all are, as when a machine
// sleeps; services that live by beats are not gone afterwards (TestRegistry has
// those), and no read is stale.
func TestAllPaused(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{})
	s.more(10)
	for _, which := range [][]int{s.c.Followers()[:1], {0, 1, 2}} {
		for _, i := range which {
			s.c.Nodes[i].Signal(syscall.SIGSTOP)
		}
		members.Wait(t, 8*time.Second)
		for _, i := range which {
			s.c.Nodes[i].Signal(syscall.SIGCONT)
		}
		s.more(10)
	}
	s.staleKnown()
}
