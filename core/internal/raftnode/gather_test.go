package raftnode

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// A member that comes back while nothing happens takes writes at once: it knows
// the term it is in, although nothing of it has changed.
func TestRestartedFollowerWrites(t *testing.T) {
	g := newGroup(t, 2, 3)
	g.members[1].mustPut(t, "k", "v")
	f := g.follower()
	id, leader := f.id, g.leader()
	eventually(t, "the commit reached the log of the follower", func() bool {
		return f.log.HardState().GetCommit() == leader.commit.Load()
	})
	g.stop(id)
	f = g.run(id, nil)
	if err := f.WaitReady(within(t)); err != nil {
		t.Fatalf("WaitReady() = %v", err)
	}
	begin := time.Now()
	f.mustPut(t, "k", "w")
	if took := time.Since(begin); took > 20*testTick {
		t.Errorf("the first write took %v", took)
	}
}

// ENG-02: while a round of the leader is not committed, what comes waits and makes
// the next one larger. Where the others are far away rounds overlap: it does not wait
// for ever.
func TestRoundsGrow(t *testing.T) {
	g := newSlowGroup(t, 500*time.Millisecond, 2, 3) // a round is waited for 200ms
	lead := g.leader()
	for id := range g.members {
		g.cut(lead.id, id)
	}
	from, _ := lead.log.LastIndex()
	grown := func(by uint64) func() bool {
		return func() bool { last, _ := lead.log.LastIndex(); return last >= from+by }
	}
	var wg sync.WaitGroup
	wg.Go(func() { lead.mustPut(t, "first", "v") })
	eventually(t, "the first write is in the log of the leader", grown(1))
	for i := range 20 {
		wg.Go(func() { lead.mustPut(t, fmt.Sprint(i), "v") })
		eventually(t, "the write waits", func() bool { return lead.queue.len() == i+1 || grown(2)() })
	}
	eventually(t, "the others are in the log", grown(2))
	if last, _ := lead.log.LastIndex(); last != from+2 || lead.queue.len() > 0 {
		t.Errorf("20 writes took %d entries and %d wait, want one entry", last-from-1, lead.queue.len())
	}
	g.heal()
	wg.Wait()
}

func message(kind raftpb.MessageType, to, index, commit uint64, entries int) *raftpb.Message {
	term := uint64(3)
	return &raftpb.Message{
		Type: kind.Enum(), To: &to, Term: &term, Index: &index, Commit: &commit, Entries: make([]*raftpb.Entry, entries),
	}
}

func TestSparse(t *testing.T) {
	app := raftpb.MsgApp
	alone, told := message(app, 2, 5, 5, 0), message(app, 3, 5, 5, 0)
	entries, beat := message(app, 3, 5, 5, 2), message(raftpb.MsgHeartbeat, 3, 0, 5, 0)
	behind, ahead := message(app, 4, 5, 6, 0), message(app, 4, 5, 5, 1)
	got := sparse([]*raftpb.Message{alone, told, beat, behind, entries, ahead})
	want := []*raftpb.Message{alone, beat, behind, entries, ahead}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sparse() = %v\nwant %v", got, want)
	}
}

// recorder is a transport that keeps what is sent.
type recorder struct {
	nobody
	sent []*raftpb.Message
}

func (r *recorder) Send(ms []*raftpb.Message) { r.sent = append(r.sent, ms...) }

func TestHeldAcknowledgements(t *testing.T) {
	var (
		a    acked
		r    recorder
		none []*raftpb.Message
	)
	ack := func(index uint64) *raftpb.Message { return message(raftpb.MsgAppResp, 1, index, 0, 0) }
	reject := ack(4)
	reject.Reject = new(true)
	for _, step := range []struct{ in, want []*raftpb.Message }{
		{[]*raftpb.Message{ack(5), ack(7)}, []*raftpb.Message{ack(7)}},
		{[]*raftpb.Message{ack(7)}, none},
		{[]*raftpb.Message{reject}, []*raftpb.Message{reject}},
		{[]*raftpb.Message{ack(6), ack(8)}, []*raftpb.Message{ack(8)}},
		{[]*raftpb.Message{ack(8)}, none},
	} {
		in := fmt.Sprint(step.in)
		if got := a.hold(step.in); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("hold(%s) = %v, want %v", in, got, step.want)
		}
	}
	a.ticked(&r)
	a.ticked(&r)
	if want := []*raftpb.Message{ack(8)}; fmt.Sprint(r.sent) != fmt.Sprint(want) {
		t.Errorf("a tick sent %v, want %v once", r.sent, want)
	}
	other := ack(1)
	other.Term = new(uint64(4))
	if got := a.hold([]*raftpb.Message{other}); len(got) != 1 {
		t.Error("an acknowledgement of a new term is held")
	}
}
