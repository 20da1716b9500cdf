package raftnode

import (
	"slices"
	"time"

	"go.uber.org/zap"
)

// departure is word that the process of a member has ended.
type departure struct {
	id uint64
	at time.Time
}

// Gone notes that the process of a member has ended, as its machine refuses
// connections to it. It does not wait.
func (n *Node) Gone(id uint64) { n.gone.Store(&departure{id: id, at: time.Now()}) }

// heir is what a member does after its leader is gone; it belongs to the loop.
//
// An election is not waited for when a quorum knows that nobody leads: who has
// forgotten its leader votes at once, and campaigns, one member after the other so
// that they do not split the vote. Forgotten is a leader only when it has not been
// heard for half an election timeout: until then it may answer Fresh reads, if it
// is alive after all (see leased).
type heir struct {
	word time.Time // last one of the leader
	next time.Time // when to campaign; zero: not at all
}

// heard notes a word of the leader.
func (h *heir) heard(now time.Time) { *h = heir{word: now} }

// bury forgets a leader that is gone, and campaigns in its turn.
func (n *Node) bury(now time.Time) {
	h := &n.heir
	if !h.next.IsZero() {
		if n.leader.Load() != 0 {
			h.next = time.Time{}
		} else if !now.Before(h.next) {
			h.next = now.Add(n.turns())
			_ = n.raft.Campaign() // refused while a change of members is not applied
		}
		return
	}
	d, leader := n.gone.Load(), n.leader.Load()
	if d == nil || d.id != leader || leader == n.id || !d.at.After(h.word) || now.Sub(h.word) < electionTicks/2*n.tick {
		return
	}
	turn := n.turn(leader)
	if turn < 0 || n.raft.ForgetLeader() != nil {
		return
	}
	n.logger.Info("the leader is gone", zap.String("member", name(leader)))
	// The others forget it within two ticks.
	h.next = now.Add(2*n.tick/fine + time.Duration(turn)*n.tick)
}

// turn is how many voters campaign before this member when one is gone; -1: it has
// no vote.
func (n *Node) turn(gone uint64) (turn int) {
	voters := n.conf.Load().GetVoters()
	if !slices.Contains(voters, n.id) {
		return -1
	}
	for _, v := range voters {
		if v != gone && v < n.id {
			turn++
		}
	}
	return turn
}

// turns is how long it takes until it is this member's turn again.
func (n *Node) turns() time.Duration {
	return time.Duration(max(1, len(n.conf.Load().GetVoters())-1)) * n.tick
}
