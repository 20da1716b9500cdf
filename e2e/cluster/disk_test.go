package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/losefs"
)

// onDisks starts members on disks that forget, fill up and fail.
func onDisks(t *testing.T) (*site, []*losefs.FS) {
	t.Helper()
	onlyLong(t)
	var disks []*losefs.FS
	seed := seedOf(t)
	c := members.New(t, members.Options{Seed: seed, Data: func(int) string {
		mountpoint := t.TempDir()
		d, err := losefs.Mount(t.TempDir(), mountpoint, losefs.Options{Log: t.Output()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Unmount(); err != nil {
				t.Error(err)
			}
		})
		disks = append(disks, d)
		return mountpoint
	}})
	c.Start()
	return work(t, c, seed), disks
}

// REL-02: the power fails for all members at once, several times; what was not
// synced is gone, and nothing that was acknowledged is.
func TestPowerCut(t *testing.T) {
	s, disks := onDisks(t)
	for round := range 6 {
		s.more(10)
		s.wait(300 * time.Millisecond)
		for _, n := range s.c.Nodes {
			n.Kill()
		}
		var took []losefs.Report
		for _, d := range disks {
			r, err := d.Crash([]losefs.Loss{losefs.All, losefs.Subset, losefs.Torn}[round%3], s.rng.Uint64())
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, r)
		}
		t.Logf("the power cut took %+v, ready again after %v", took, s.c.Start().Round(time.Millisecond))
	}
	s.more(10)
	s.judge()
}

// REL-05: a sync that fails ends the member; the others go on, and when it comes
// back it holds what was acknowledged.
func TestFailedSync(t *testing.T) {
	s, disks := onDisks(t)
	for _, leads := range []bool{true, false} {
		s.more(10)
		victim := s.c.Leader()
		if !leads {
			victim = s.c.Followers()[0]
		}
		// One is enough where it matters; a file that is only being prepared may
		// meet it first, and is thrown away.
		disks[victim].FailSyncs(4)
		if code := s.c.Exit(victim); code <= 0 {
			t.Errorf("exit code = %d, want a failure", code)
		}
		s.c.Leader(victim)
		s.more(5)
		if _, err := disks[victim].Crash(losefs.All, s.rng.Uint64()); err != nil {
			t.Fatal(err)
		}
		s.restart(victim)
	}
	s.judge()
}

// REL-04: the leader's disk is full; it refuses or lets another lead, reads go on,
// and with space it is in order again without a restart.
func TestFullDisk(t *testing.T) {
	s, disks := onDisks(t)
	s.more(10)
	victim := s.c.Leader()
	disks[victim].LimitSpace(0)
	w := newWeb()
	defer w.close()
	fill := func() error { // one after another until a write does not fit
		for i := range 400 {
			if err := w.publish(t.Context(), s.c.Nodes[victim].URL(), fmt.Sprint("big-", i), fmt.Sprintf("%0100000d", i), ""); err != nil {
				return err
			}
		}
		return nil
	}
	t.Logf("writes through member %d: %v", victim, fill())
	if _, err := w.read(t.Context(), s.c.Nodes[victim].URL(), s.chains.names[0]); err != nil {
		t.Errorf("read on the full disk = %v", err)
	}
	next := s.c.Leader(victim)
	s.taken(next)
	disks[victim].LimitSpace(-1)
	s.follows(victim)
	s.more(10)
	s.judge()
}

// REL-06: each sync of the leader's disk takes long; it goes on slowly or another
// leads, and never two.
func TestSlowDisk(t *testing.T) {
	s, disks := onDisks(t)
	for _, slow := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second} {
		s.more(10)
		victim := s.c.Leader()
		disks[victim].SlowSyncs(slow)
		begin, from := time.Now(), s.writers.acked()+s.chains.acked.Load()
		members.Wait(t, 5*time.Second)
		rate := float64(s.writers.acked()+s.chains.acked.Load()-from) / time.Since(begin).Seconds()
		t.Logf("a sync takes %v: %.0f writes/s, member %d leads, %d did", slow, rate, s.c.Leader(), victim)
		if rate < 0.5 {
			t.Errorf("%.1f writes/s with syncs of %v", rate, slow)
		}
		disks[victim].SlowSyncs(0)
	}
	s.more(10)
	s.judge()
}
