package raftnode

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const self = 7

// patience bounds every wait; nothing takes nearly as long.
const patience = 30 * time.Second

// member is a node with its files.
type member struct {
	*Node
	log   *raftlog.Log
	store *store.Store
	table fsm.TableID
}

// open returns a member of a group of one, whose loops do not run yet.
func open(tb testing.TB, dir string) *member {
	tb.Helper()
	s, err := store.Open(store.Options{Dir: dir, PersistEvery: time.Hour, NoSync: true})
	if err != nil {
		tb.Fatalf("store.Open() = %v", err)
	}
	l, err := raftlog.Open(filepath.Join(dir, "log"), raftlog.Options{NoSync: true})
	if err != nil {
		tb.Fatalf("raftlog.Open() = %v", err)
	}
	m := &member{log: l, store: s}
	tb.Cleanup(func() { m.close(tb) })
	if err := FreshStart(tb.Context(), self, l, s); err != nil {
		tb.Fatalf("FreshStart() = %v", err)
	}
	if m.Node, err = recovered(Options{ID: self, Log: l, Store: s}); err != nil {
		tb.Fatalf("recovered() = %v", err)
	}
	return m
}

// start returns a member that leads, with a table.
func start(tb testing.TB, dir string) *member {
	tb.Helper()
	m := open(tb, dir)
	m.lead(tb)
	return m
}

// idle returns a member with a table, whose loops do not run.
func idle(tb testing.TB) *member {
	tb.Helper()
	dir := tb.TempDir()
	begun := start(tb, dir)
	begun.close(tb)
	m := open(tb, dir)
	m.table = begun.table
	return m
}

func (m *member) lead(tb testing.TB) {
	tb.Helper()
	m.run()
	m.lead1(tb)
}

// close is idempotent.
func (m *member) close(tb testing.TB) {
	tb.Helper()
	if m.Node != nil {
		m.Close()
	}
	if err := m.store.Close(); err != nil {
		tb.Errorf("store.Close() = %v", err)
	}
	if err := m.log.Close(); err != nil {
		tb.Errorf("log.Close() = %v", err)
	}
}

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func (m *member) put(key string, value []byte) *fsm.Txn {
	return &fsm.Txn{Then: []kv.Op{{Kind: kv.Put, Key: fsm.AppendKey(nil, m.table, []byte(key)), Value: value}}}
}

func (m *member) mustPut(tb testing.TB, key, value string) kv.Revision {
	tb.Helper()
	out, err := m.Propose(tb.Context(), m.put(key, []byte(value)))
	if err != nil || out.Err != nil || !out.Result.Committed {
		tb.Fatalf("Propose(%s) = %+v, %v", key, out, err)
	}
	return out.Result.Revision
}

func (m *member) want(tb testing.TB, key, value string) {
	tb.Helper()
	r := m.store.Root().Get(fsm.AppendKey(nil, m.table, []byte(key)))
	if r == nil || string(r.Value) != value {
		tb.Errorf("Get(%s) = %v, want %q", key, r, value)
	}
}

// eventually polls a condition of another goroutine.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ctx := within(tb)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("never: %s", what)
		}
	}
}

// copyDir is the directory as a crash leaves it.
func copyDir(tb testing.TB, from string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
	return to
}
