package core

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTables = []kv.TableSpec{{Name: "hot", Residency: kv.Hot}, {Name: "cold", Residency: kv.Cold}}

func start(tb testing.TB, dir string) *Node {
	tb.Helper()
	return startWith(tb, Config{DataDir: dir, Tables: testTables})
}

func startWith(tb testing.TB, c Config) *Node {
	tb.Helper()
	n, err := Start(tb.Context(), c)
	if err != nil {
		tb.Fatalf("Start() = %v", err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return n
}

func put(tb testing.TB, s kv.Store, table, key, value string) kv.Revision {
	tb.Helper()
	res, err := s.Commit(tb.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: table, Key: []byte(key), Value: []byte(value)}}})
	if err != nil || !res.Committed {
		tb.Fatalf("Commit(%s/%s) = %+v, %v", table, key, res, err)
	}
	return res.Revision
}

func wantValue(tb testing.TB, s kv.Store, table, key, want string) {
	tb.Helper()
	rec, err := s.Get(tb.Context(), table, []byte(key))
	if err != nil || string(rec.Value) != want {
		tb.Fatalf("Get(%s/%s) = %v, %v, want %q", table, key, rec, err, want)
	}
}

// CTR-B07, ARC-R11: what Commit acknowledged is there at once, and after every
// restart.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	for life := range 4 {
		n := start(t, dir)
		for past := range life {
			wantValue(t, n.KV(), "hot", fmt.Sprintf("h%d", past), "v")
			wantValue(t, n.KV(), "cold", fmt.Sprintf("c%d", past), "v")
		}
		put(t, n.KV(), "hot", fmt.Sprintf("h%d", life), "v")
		put(t, n.KV(), "cold", fmt.Sprintf("c%d", life), "v")
		state, err := n.Cluster().State(t.Context())
		if err != nil || state.Starts != uint64(life+1) || !state.Ready {
			t.Errorf("State() = %+v, %v, want ready, start %d", state, err, life+1)
		}
		if err := n.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
	}
}

// Two nodes live in one process (STY-07), and one data directory has one owner.
func TestTwoNodes(t *testing.T) {
	dir := t.TempDir()
	a, b := start(t, dir), start(t, t.TempDir())
	put(t, a.KV(), "hot", "k", "a")
	put(t, b.KV(), "hot", "k", "b")
	wantValue(t, a.KV(), "hot", "k", "a")
	if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil {
		t.Error("Start() on a directory in use = nil error")
	}
}

func TestConcurrentWriters(t *testing.T) {
	n := start(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := range 20 {
				put(t, n.KV(), "hot", fmt.Sprintf("%d-%d", w, i), "v")
			}
		})
	}
	wg.Wait()
	v, err := n.KV().View(t.Context(), kv.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	page, err := v.Range(t.Context(), kv.Range{Table: "hot", Limit: kv.MaxPage})
	if err != nil || len(page.Records) != 64*20 || v.Revision() != 64*20 {
		t.Errorf("Range() = %d rows at %d, %v, want %d", len(page.Records), v.Revision(), err, 64*20)
	}
}

func TestClosed(t *testing.T) {
	n := start(t, t.TempDir())
	kvs := n.KV()
	for range 2 {
		if err := n.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if _, err := kvs.Commit(t.Context(), kv.Txn{}); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Commit() after Close = %v, want kv.ErrClosed", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			n := start(b, b.TempDir())
			value := make([]byte, 256)
			var wg sync.WaitGroup
			next := make(chan int)
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := range next {
						put(b, n.KV(), "hot", fmt.Sprintf("%08d", i), string(value))
					}
				})
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			wg.Wait()
		})
	}
}
