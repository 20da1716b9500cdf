package core_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
)

func alone(tb testing.TB, dir string) *core.Node {
	tb.Helper()
	return aloneWith(tb, dir, core.OS)
}

func aloneWith(tb testing.TB, dir string, d core.Durability) *core.Node {
	tb.Helper()
	n, err := core.Start(within(tb), core.Config{
		DataDir: dir, Durability: d, Tables: []kv.TableSpec{{Name: "t", Residency: kv.Hot}, {Name: "cold", Residency: kv.Cold}},
	})
	if err != nil {
		tb.Fatalf("core.Start() = %v", err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return n
}

// take reads a whole backup; between is called after each piece of it.
func take(tb testing.TB, n *core.Node, between func()) []byte {
	tb.Helper()
	chunks, err := n.Admin().Backup(within(tb))
	if err != nil {
		tb.Fatalf("Backup() = %v", err)
	}
	defer func() {
		if err := chunks.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	}()
	var out bytes.Buffer
	for {
		b, err := chunks.Next(tb.Context())
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			tb.Fatalf("Next() = %v", err)
		}
		out.Write(b)
		if between != nil {
			between()
		}
	}
}

func restore(tb testing.TB, data []byte) (string, core.Restored) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "data")
	out, err := core.Restore(within(tb), dir, bytes.NewReader(data), 0)
	if err != nil {
		tb.Fatalf("Restore() = %v", err)
	}
	return dir, out
}

func state(tb testing.TB, n *core.Node) cluster.State {
	tb.Helper()
	s, err := n.Cluster().State(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func number(tb testing.TB, n *core.Node, key string) uint64 {
	tb.Helper()
	r, err := n.KV().Get(within(tb), "t", []byte(key))
	if errors.Is(err, kv.ErrNotFound) {
		return 0
	}
	if err != nil || len(r.Value) != 8 {
		tb.Fatalf("Get(%s) = %v, %v", key, r, err)
	}
	return binary.BigEndian.Uint64(r.Value)
}

// REL-22: a backup under load is one point in time, holds everything that was
// acknowledged before it, and holds up nobody: writes are acknowledged between its
// pieces. What is restored is a cluster of its own, whose revisions go on above
// those of the old one (ARC-S01).
func TestBackupUnderLoad(t *testing.T) {
	n := alone(t, t.TempDir())
	for i := range 12 { // several pieces
		mustPut(t, n, fmt.Sprint("large", i), strings.Repeat("x", 300<<10))
	}
	if _, err := n.KV().Commit(t.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "cold", Key: []byte("c"), Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	// A writer raises key a, then key b, then a again: at any moment b is a or one
	// less.
	stop := make(chan struct{})
	var writers sync.WaitGroup
	const count = 4
	acked := [count]chan uint64{}
	for w := range count {
		acked[w] = make(chan uint64, 1)
		writers.Go(func() {
			for i := uint64(1); ; i++ {
				for _, key := range []string{"a", "b"} {
					if err := put(t.Context(), n, fmt.Sprint(key, w), string(binary.BigEndian.AppendUint64(nil, i))); err != nil {
						t.Errorf("Commit() = %v", err)
						return
					}
				}
				select {
				case <-acked[w]:
				default:
				}
				acked[w] <- i
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	var before [count]uint64
	for w := range count {
		before[w] = <-acked[w]
	}
	pieces := 0
	data := take(t, n, func() {
		pieces++
		mustPut(t, n, "between", fmt.Sprint(pieces)) // acknowledged while the backup is open
	})
	close(stop)
	writers.Wait()
	if pieces < 10 {
		t.Errorf("%d pieces, want more: nothing was written between", pieces)
	}
	old := state(t, n)

	if info, err := core.CheckBackup(bytes.NewReader(data)); err != nil || info.Cluster != old.Cluster || info.Index == 0 {
		t.Errorf("CheckBackup() = %+v, %v", info, err)
	}
	dir, made := restore(t, data)
	if made.Cluster == old.Cluster || made.Revision <= old.Revision {
		t.Errorf("Restore() = %+v, want another cluster than %016x and a revision above %d", made, old.Cluster, old.Revision)
	}
	r := alone(t, dir)
	for w := range count {
		a, b := number(t, r, fmt.Sprint("a", w)), number(t, r, fmt.Sprint("b", w))
		if b < before[w] || a < b || a > b+1 {
			t.Errorf("writer %d: a = %d, b = %d, acknowledged before were %d", w, a, b, before[w])
		}
	}
	wantRow(t, r, "large11", strings.Repeat("x", 300<<10))
	if rec, err := r.KV().Get(t.Context(), "cold", []byte("c")); err != nil || string(rec.Value) != "v" {
		t.Errorf("Get(cold) = %v, %v", rec, err)
	}
	if _, err := r.KV().Get(t.Context(), "t", []byte("between")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(between) = %v, want none: it was written after the backup began", err)
	}
	mustPut(t, r, "after", "v")
	if s := state(t, r); s.Cluster != made.Cluster || s.Revision <= made.Revision {
		t.Errorf("State() = %+v, want cluster %016x above revision %d", s, made.Cluster, made.Revision)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantRow(t, alone(t, dir), "after", "v")
}

// REL-22: a backup of three is restored to one; members of the old cluster that
// still run and it refuse each other; with empty disks they join it.
func TestRestoreIntoCluster(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	members(t, c.Node(0), 3, cluster.Up)
	mustPut(t, c.Node(0), "k", "old")
	from := c.Followers()[0]
	data := take(t, c.Node(from), nil)
	old := state(t, c.Node(from)).Cluster
	for i := range 3 {
		c.Stop(i)
	}

	dir, made := restore(t, data)
	r := alone(t, dir) // three to one
	wantRow(t, r, "k", "old")
	mustPut(t, r, "k", "new")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	c.Config(0).DataDir = dir
	c.Start(0)
	c.Start(1, 2) // the old cluster has its quorum, and the address of what was restored
	mustPut(t, c.Node(1), "k", "elsewhere")
	coretest.Eventually(t, "they refuse each other", func() error {
		ms, err := c.Node(1).Cluster().Members(t.Context())
		for _, m := range ms {
			if m.State == cluster.Down {
				return err
			}
		}
		return errors.New("not yet")
	})
	wantRow(t, c.Node(0), "k", "new")
	members(t, c.Node(0), 1, cluster.Up)
	if a, b := state(t, c.Node(0)).Cluster, state(t, c.Node(1)).Cluster; a != made.Cluster || b != old {
		t.Errorf("clusters = %016x, %016x, want %016x, %016x", a, b, made.Cluster, old)
	}

	for i := 1; i < 3; i++ { // one to three
		c.Stop(i)
		c.Wipe(i)
	}
	c.Start(1, 2)
	for i := range 3 {
		members(t, c.Node(i), 3, cluster.Up)
		wantRow(t, c.Node(i), "k", "new")
	}
	mustPut(t, c.Node(2), "k", "newer")
	c.Stop(0)
	wantRow(t, c.Node(1), "k", "newer")
}

// A backup waits for a quorum and says that there is none.
func TestBackupWithoutQuorum(t *testing.T) {
	c := coretest.StartCluster(t, 3, withTable)
	left := c.Followers()[0]
	c.Isolate(left)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if b, err := c.Node(left).Admin().Backup(ctx); err == nil {
		_ = b.Close()
		t.Error("Backup() = nil error without a quorum")
	}
}

// What is damaged, cut off or newer is refused, and the directory is as it was.
func TestRestoreRefuses(t *testing.T) {
	n := alone(t, t.TempDir())
	mustPut(t, n, "k", "v")
	data := take(t, n, nil)
	newer := bytes.Clone(data)
	binary.BigEndian.PutUint32(newer[8:], 9)
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "cut off"},
		"text":      {[]byte(strings.Repeat("hello ", 99)), "does not begin like one"},
		"cut":       {data[:len(data)-1], "cut off"},
		"flipped":   {flipped, "checksum"},
		"continued": {append(bytes.Clone(data), 0), "goes on behind its end"},
		"newer":     {newer, "has format 9, this version reads up to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := core.Restore(t.Context(), dir, bytes.NewReader(tt.data), 0)
			if err == nil || !contains(err, tt.want) {
				t.Errorf("Restore() = %v, want %q in it", err, tt.want)
			}
			if files, _ := os.ReadDir(dir); len(files) != 0 {
				t.Errorf("the directory holds %v", files)
			}
			if _, err := core.CheckBackup(bytes.NewReader(tt.data)); err == nil {
				t.Error("CheckBackup() = nil")
			}
		})
	}
	dir, _ := restore(t, data)
	if _, err := core.Restore(t.Context(), dir, bytes.NewReader(data), 0); err == nil || !contains(err, "holds data already") {
		t.Errorf("Restore() over data = %v, want a refusal", err)
	}
	wantRow(t, alone(t, dir), "k", "v")

	high := filepath.Join(t.TempDir(), "d")
	if out, err := core.Restore(t.Context(), high, bytes.NewReader(data), 1<<45); err != nil || out.Revision != 1<<45 {
		t.Errorf("Restore() at least 2^45 = %+v, %v", out, err)
	}
	tooHigh := t.TempDir()
	if _, err := core.Restore(t.Context(), tooHigh, bytes.NewReader(data), 1<<47); err == nil {
		t.Error("Restore() at least 2^47 = nil error (BRG-IDX-03)")
	}
	if files, _ := os.ReadDir(tooHigh); len(files) != 0 {
		t.Errorf("the directory holds %v", files)
	}
}
