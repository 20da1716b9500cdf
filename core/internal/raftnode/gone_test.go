package raftnode

import (
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// goneTick makes an election take 2 to 4 s, and half of one 1 s.
const goneTick = 200 * time.Millisecond

// GOAL-21, ARC-R08: when a quorum is told that the process of the leader has ended,
// somebody takes over after half an election timeout, within which the leader would
// have answered Fresh reads, and long before the others would have missed it.
func TestLeaderGone(t *testing.T) {
	g := newSlowGroup(t, goneTick, 2, 3)
	lead := g.leader()
	g.members[2].mustPut(t, "k", "v")
	term := lead.Status().Term
	g.stop(lead.id)
	begin := time.Now()
	for _, m := range g.members {
		m.Gone(lead.id)
	}
	next := g.leader()
	took := time.Since(begin)
	if early, late := electionTicks/2*goneTick-2*goneTick, electionTicks*goneTick; took < early || took > late {
		t.Errorf("somebody leads after %v, want %v to %v", took, early, late)
	}
	if got := next.Status().Term; got != term+1 {
		t.Errorf("term = %d, want %d: one election", got, term+1)
	}
	for _, m := range g.members {
		m.mustPut(t, "k", "w")
	}
}

// A member that alone takes the leader for gone, as when a firewall refuses it, moves
// nobody: it has no quorum, and follows again when it hears the leader.
func TestLeaderGoneForOne(t *testing.T) {
	g := newSlowGroup(t, 2*testTick, 2, 3)
	lead, f := g.leader(), g.follower()
	term := lead.Status().Term
	g.cut(lead.id, f.id)
	f.Gone(lead.id)
	eventually(t, "it has forgotten the leader", func() bool {
		f.Gone(lead.id)
		return f.Status().Leader == 0
	})
	lead.mustPut(t, "k", "v")
	g.heal()
	eventually(t, "it follows again", func() bool { return f.Status().Leader == lead.id })
	if got := lead.Status(); !got.Leads || got.Term != term {
		t.Errorf("Status() = %+v, want the leader of term %d still", got, term)
	}
	f.mustPut(t, "k", "w")
}

// Word of the leader after the news refutes it, and a leader that has been heard of
// late is not let go whatever is said.
func TestLeaderNotGone(t *testing.T) {
	g := newSlowGroup(t, 2*testTick, 2, 3)
	lead := g.leader()
	begin := time.Now()
	for time.Since(begin) < 2*electionTicks*2*testTick {
		for _, m := range g.members {
			m.Gone(lead.id)
		}
		if _, err := g.follower().Barrier(within(t), kv.Linearizable); err != nil {
			t.Fatalf("Barrier() = %v", err)
		}
	}
	if !lead.Status().Leads {
		t.Error("the leader was let go although it was heard")
	}
}
