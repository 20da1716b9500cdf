package cluster

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// REL-12, ARC-R11: a member is added under load and gets its vote, the leader is
// removed, and an id that was removed does not come back; nothing is lost.
func TestMembership(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{})
	s.more(10)
	fourth := s.c.Grow()
	s.c.Start(fourth)
	s.c.Voters(4)
	s.more(10)
	lead := s.c.Leader()
	out, err := s.c.CLI((lead+1)%3, "remove", s.c.Address(lead))
	if err != nil || out != "removed\n" {
		t.Fatalf("cluster remove of the leader = %q, %v", out, err)
	}
	n := s.c.Nodes[lead]
	if code := s.c.Exit(lead); code != 1 || !strings.Contains(n.Log(), "was removed from the cluster") {
		t.Errorf("exit code = %d, want 1 and the reason in the log", code)
	}
	s.c.Voters(3)
	s.c.Leader(lead)
	s.more(5)

	s.c.Spawn(lead) // the same id
	if code := s.c.Exit(lead); code == 0 {
		t.Error("a removed member started again")
	}
	s.wipe(lead) // and another one at its address
	s.c.Start(lead)
	s.c.Voters(4)
	s.more(5)
	s.judge()
}

// REL-03: a log that is damaged in the middle keeps a member from starting, with an
// exit code and what to do; the others go on, and the member comes back without its
// data. A torn end is cut.
func TestDamagedLog(t *testing.T) {
	onlyLong(t)
	s := newSite(t, members.Options{})
	s.more(10)
	victim := s.c.Followers()[0]
	n := s.c.Nodes[victim]
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
		starts bool
	}{
		{"torn end", func(b []byte) []byte {
			end := framesEnd(b)
			clear(b[end-5 : end])
			return b
		}, true},
		{"flipped byte", func(b []byte) []byte { b[framesEnd(b)/2] ^= 0x10; return b }, false},
		{"cut short", func(b []byte) []byte { return b[:framesEnd(b)/2] }, false},
	} {
		s.more(10)
		n.Kill()
		edit(t, lastSegment(t, n.Data), tt.damage)
		s.c.Spawn(victim)
		if tt.starts {
			s.c.Ready(victim)
			t.Logf("%s: it started", tt.name)
			continue
		}
		code := s.c.Exit(victim)
		lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
		last := lines[len(lines)-1]
		t.Logf("%s: exit code %d: %s", tt.name, code, last)
		if code <= 0 || !strings.Contains(last, "restore") || !strings.Contains(last, "anew") {
			t.Errorf("%s: exit code %d, %q: want a failure that says what to do", tt.name, code, last)
		}
		s.wipe(victim)
		s.c.Start(victim)
		s.c.Voters(3)
	}
	s.judge()
}

func lastSegment(t *testing.T, data string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "log", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log in %s: %v", data, err)
	}
	slices.Sort(files)
	return files[len(files)-1]
}

// framesEnd is where the frames of a segment end and the zeros begin.
func framesEnd(b []byte) int {
	at := 0
	for at+16 <= len(b) && binary.LittleEndian.Uint32(b[at:]) != 0 {
		at += (16 + int(binary.LittleEndian.Uint32(b[at+4:])) + 7) &^ 7
	}
	return min(at, len(b))
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if framesEnd(b) < 64 {
		t.Fatal(fmt.Errorf("%s holds too little", path))
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}
