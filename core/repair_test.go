package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
)

// synced is alone with writes on disk: without, no damage is told from a torn end.
func synced(tb testing.TB, dir string) *core.Node {
	tb.Helper()
	return aloneWith(tb, dir, core.Fsync)
}

func withFsync(_ int, c *core.Config) { c.Durability = core.Fsync }

func closeNode(tb testing.TB, n *core.Node) {
	tb.Helper()
	if err := n.Close(); err != nil {
		tb.Fatalf("Close() = %v", err)
	}
}

// flip changes a byte of the frame in the log that holds a text.
func flip(tb testing.TB, dir, text string) {
	tb.Helper()
	paths, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		if at := bytes.Index(b, []byte(text)); at >= 0 {
			b[at] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				tb.Fatal(err)
			}
			return
		}
	}
	tb.Fatalf("the log does not hold %q", text)
}

// files are the contents of a directory.
func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "member.json" {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func verify(tb testing.TB, dir string) core.DataReport {
	tb.Helper()
	r, err := core.VerifyData(dir)
	if err != nil {
		tb.Fatalf("VerifyData() = %v", err)
	}
	return r
}

// A whole directory is said to be whole; a running node and an empty directory are
// told from it.
func TestVerifyData(t *testing.T) {
	dir := t.TempDir()
	if _, err := core.VerifyData(dir); err == nil || !contains(err, "is no data directory") {
		t.Errorf("VerifyData() of an empty directory = %v", err)
	}
	n := synced(t, dir)
	mustPut(t, n, "k", "v")
	if _, err := core.VerifyData(dir); err == nil || !contains(err, "a server runs on") {
		t.Errorf("VerifyData() of a running node = %v", err)
	}
	s := state(t, n)
	closeNode(t, n)
	before := files(t, dir)
	r := verify(t, dir)
	if len(r.Problems) != 0 || r.Advice != "" || r.Cluster != s.Cluster || r.Last < s.Applied || r.Entry != r.Last || r.Rows == 0 || len(r.Digest) != 64 {
		t.Errorf("VerifyData() = %+v", r)
	}
	if _, err := core.TruncateLog(t.Context(), dir, 0); err == nil || !contains(err, "nothing is damaged") {
		t.Errorf("TruncateLog() of a whole log = %v", err)
	}
	after := files(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d files, want %d", len(after), len(before))
	}
	for path, b := range before {
		if after[path] != b {
			t.Errorf("%s has changed", path)
		}
	}
	wantRow(t, synced(t, dir), "k", "v")
}

// REL-03: damage in the middle of the log refuses the start, changes nothing, and
// names the command; what state.db holds is not lost with it.
func TestTruncateLogWithoutLoss(t *testing.T) {
	dir := t.TempDir()
	n := synced(t, dir)
	for i := range 9 {
		mustPut(t, n, fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
	}
	cluster, revision := state(t, n).Cluster, state(t, n).Revision
	closeNode(t, n)
	flip(t, dir, "the value number 4")
	before := files(t, dir)

	_, err := core.Start(within(t), core.Config{DataDir: dir})
	var damage *core.DamageError
	if !errors.As(err, &damage) || !contains(err, "batata admin raft verify --data-dir "+dir) {
		t.Fatalf("Start() = %v, want a DamageError with the command", err)
	}
	for path, b := range files(t, dir) {
		// Opening state.db writes its head anew.
		if before[path] != b && filepath.Base(path) != "state.db" {
			t.Errorf("Start() has changed %s", path)
		}
	}
	r := verify(t, dir)
	if len(r.Problems) != 1 || !strings.Contains(r.Advice, "nothing that was acknowledged is lost") ||
		!strings.HasSuffix(r.Advice, "batata admin raft truncate --data-dir "+dir) {
		t.Errorf("VerifyData() = %+v", r)
	}
	done, err := core.TruncateLog(t.Context(), dir, 0)
	if err != nil || done.Entry != r.Last || done.Cluster != cluster || done.Revision != revision {
		t.Fatalf("TruncateLog() = %+v, %v", done, err)
	}
	if aside, err := filepath.Glob(filepath.Join(done.Aside, "*.log")); err != nil || len(aside) == 0 {
		t.Errorf("the old log is not in %s", done.Aside)
	}
	for range 2 {
		n = synced(t, dir)
		for i := range 9 {
			wantRow(t, n, fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
		}
		mustPut(t, n, "more", "v")
		closeNode(t, n)
	}
}

// older puts a state.db from before the last writes in place: it is always behind
// the log when the power goes.
func older(tb testing.TB, dir string, write func(n *core.Node)) {
	tb.Helper()
	path := filepath.Join(dir, "state.db")
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	n := synced(tb, dir)
	write(n)
	closeNode(tb, n)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// REL-03: what only the log held is lost with it, and the loss has to be named;
// what is whole before it is kept, and revisions do not step back.
func TestTruncateLogWithLoss(t *testing.T) {
	dir := t.TempDir()
	n := synced(t, dir)
	mustPut(t, n, "first", "v")
	closeNode(t, n)
	var seen uint64
	older(t, dir, func(n *core.Node) {
		for i := range 9 {
			mustPut(t, n, fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
		}
		seen = state(t, n).Revision
	})
	flip(t, dir, "the value number 4")
	r := verify(t, dir)
	command := fmt.Sprintf("batata admin raft truncate --data-dir %s --lose-after %d", dir, r.Last)
	if !strings.HasSuffix(r.Advice, command) || !strings.Contains(r.Advice, fmt.Sprintf("entries %d to", r.Last+1)) || r.Last <= r.Entry {
		t.Fatalf("VerifyData() = %+v, want the loss and %q", r, command)
	}
	for _, wrong := range []uint64{0, r.Last - 1, r.Last + 1} {
		if _, err := core.TruncateLog(t.Context(), dir, wrong); err == nil || !contains(err, command) {
			t.Errorf("TruncateLog(%d) = %v, want the command", wrong, err)
		}
	}
	if _, err := core.TruncateLog(t.Context(), dir, r.Last); err != nil {
		t.Fatalf("TruncateLog() = %v", err)
	}
	n = synced(t, dir)
	for i := range 4 {
		wantRow(t, n, fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
	}
	if _, err := n.KV().Get(t.Context(), "t", []byte("k4")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(k4) = %v, want none", err)
	}
	if now := state(t, n).Revision; now <= seen {
		t.Errorf("Revision = %d, clients have seen %d", now, seen)
	}
}

// FLT-03: a log that is gone, or from another time, is an error that names the
// command, not a node that serves less than it had.
func TestLogIsGone(t *testing.T) {
	dir := t.TempDir()
	n := synced(t, dir)
	mustPut(t, n, "k", "v")
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	var damage *core.DamageError
	if _, err := core.Start(within(t), core.Config{DataDir: dir}); !errors.As(err, &damage) {
		t.Fatalf("Start() = %v, want a DamageError", err)
	}
	r := verify(t, dir)
	if _, err := core.TruncateLog(t.Context(), dir, r.Last); err != nil {
		t.Fatalf("TruncateLog() = %v", err)
	}
	n = synced(t, dir)
	wantRow(t, n, "k", "v")
	mustPut(t, n, "k", "w")
}

// What is damaged in state.db is found, and sends to a backup.
func TestStateIsDamaged(t *testing.T) {
	dir := t.TempDir()
	n := synced(t, dir)
	for i := range 200 {
		mustPut(t, n, fmt.Sprint("k", i), strings.Repeat("v", 500))
	}
	closeNode(t, n)
	path := filepath.Join(dir, "state.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"cut off":    whole[:8*4096],
		"other page": slices.Concat(whole[:3*4096], make([]byte, 8192), whole[5*4096:]),
		"no file":    []byte("hello"),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := core.VerifyData(dir)
		if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Advice, "batata restore") {
			t.Errorf("%s: VerifyData() = %+v, %v", name, r, err)
		}
		if _, err := core.TruncateLog(t.Context(), dir, 0); err == nil || !contains(err, "batata restore") {
			t.Errorf("%s: TruncateLog() = %v", name, err)
		}
	}
}

// The majority is gone for ever: one member goes on alone, with everything that it
// has, as another cluster, and grows again. A damaged log of one of several is
// not cut: the others have what it lost.
func TestForceNewCluster(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable, withFsync)
	members(t, c.Node(0), 3, cluster.Up)
	for i := range 9 {
		mustPut(t, c.Node(i%3), fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
	}
	old := state(t, c.Node(0))
	for i := range 3 {
		c.Stop(i)
	}
	left, dir := 0, c.Config(0).DataDir
	for i := range 3 { // whose last entry is the highest
		if r := verify(t, c.Config(i).DataDir); r.Last > verify(t, dir).Last {
			left, dir = i, c.Config(i).DataDir
		}
	}
	_, err := core.Start(within(t), core.Config{DataDir: dir})
	if err == nil || !contains(err, "batata admin raft force-new-cluster --data-dir "+dir) {
		t.Errorf("Start() of one of three alone = %v, want the command", err)
	}
	flip(t, dir, "the value number 4")
	if _, err := core.TruncateLog(t.Context(), dir, 0); err == nil || !contains(err, "it takes the place of this one") ||
		!contains(err, "force-new-cluster") {
		t.Errorf("TruncateLog() of one of three = %v, want a refusal", err)
	}
	done, err := core.ForceNewCluster(t.Context(), dir, 0)
	if err != nil || done.Cluster == old.Cluster || done.Revision <= old.Revision {
		t.Fatalf("ForceNewCluster() = %+v, %v", done, err)
	}

	c.Start(left)
	members(t, c.Node(left), 1, cluster.Up)
	for i := range 9 {
		wantRow(t, c.Node(left), fmt.Sprint("k", i), fmt.Sprintf("the value number %d", i))
	}
	mustPut(t, c.Node(left), "more", "v")
	others := []int{(left + 1) % 3, (left + 2) % 3}
	c.Start(others...) // with their old data they are the old cluster
	if got := state(t, c.Node(others[0])).Cluster; got != old.Cluster {
		t.Errorf("cluster = %016x, want %016x", got, old.Cluster)
	}
	members(t, c.Node(left), 1, cluster.Up)
	for _, i := range others {
		c.Stop(i)
		c.Wipe(i)
	}
	c.Start(others...)
	members(t, c.Node(left), 3, cluster.Up)
	wantRow(t, c.Node(others[1]), "more", "v")
}
