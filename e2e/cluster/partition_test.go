package cluster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/cluster/netfault"
)

// refuseLimit is within how long a member without a quorum refuses to write, and
// healLimit within how long the registry is the same everywhere (REL-07).
const (
	refuseLimit = 3 * time.Second
	healLimit   = 10 * time.Second
)

// REL-07: the leader is cut off under load. It refuses writes in time, the others
// go on, reads that are stale were told to be possible, and nothing acknowledged
// is lost.
func TestLeaderIsolated(t *testing.T) {
	s := newSite(t, members.Options{Faults: true})
	for range either(1, 5) {
		s.more(20)
		lead := s.c.Leader()
		begin := time.Now()
		s.c.Net.Isolate(lead, netfault.Link{Cut: true})
		s.refuses(lead)
		next := s.c.Leader(lead)
		t.Logf("member %d leads %v after member %d was cut off", next, time.Since(begin).Round(time.Millisecond), lead)
		s.taken(next)
		s.wait(2 * time.Second)
		s.c.Net.Heal()
		s.follows(lead)
		s.more(20)
	}
	s.staleKnown()
}

// refuses wants a member without a quorum to say so in time. What it answers as
// unknown counts: it may yet happen, and nobody was told that it did.
func (s *site) refuses(i int) {
	s.t.Helper()
	w := newWeb()
	defer w.close()
	members.Within(s.t, 4*refuseLimit, "it refuses in time", func() error {
		begin := time.Now()
		err := w.publish(s.t.Context(), s.c.Nodes[i].URL(), "isolated", fmt.Sprint(begin.UnixNano()), "")
		no, told := errors.AsType[*refusedError](err)
		took := time.Since(begin)
		if !told || no.status < 500 {
			return fmt.Errorf("write through member %d = %w", i, err)
		}
		if took > refuseLimit {
			s.t.Errorf("member %d refused after %v, want at most %v", i, took, refuseLimit)
		}
		return nil
	})
}

// taken wants a member to take writes.
func (s *site) taken(i int) {
	s.t.Helper()
	w := newWeb()
	defer w.close()
	members.Eventually(s.t, "it takes writes", func() error {
		return w.publish(s.t.Context(), s.c.Nodes[i].URL(), "majority", fmt.Sprint(time.Now().UnixNano()), "")
	})
}

// follows waits until a member does not lead and answers.
func (s *site) follows(i int) {
	s.t.Helper()
	members.Within(s.t, healLimit, "it follows", func() error {
		if s.c.Leads(i) {
			return errStillLeads
		}
		return nil
	})
	s.taken(i)
}

// staleKnown ends the load. No more reads may be stale than members have answered
// from their own state for want of a quorum (ARC-R08).
func (s *site) staleKnown() {
	s.t.Helper()
	_, v := s.judge()
	if fallbacks := s.fallbacks(); float64(v.stale) > fallbacks {
		s.t.Errorf("%d stale reads, and %v were answered from local state for want of a quorum", v.stale, fallbacks)
	}
}
