package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/kvtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is a store with the log that feeds it.
type member struct {
	*Store
	opts Options
	log  []Committed
}

// held never persists by itself.
func held(dir string) Options {
	return Options{Dir: dir, PersistEvery: time.Hour, InitialMmapSize: 1 << 20}
}

func openMember(tb testing.TB, o Options) *member {
	tb.Helper()
	s, err := Open(o)
	if err != nil {
		tb.Fatalf("Open() = %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return &member{Store: s, opts: o}
}

// newMember has the tables of kvtest.
func newMember(tb testing.TB, o Options) *member {
	tb.Helper()
	m := openMember(tb, o)
	m.mustApply(tb, fsm.Command{Declare: &fsm.Declare{Owner: "test", Tables: kvtest.Tables()}})
	return m
}

// entry appends commands to the log as one entry.
func (m *member) entry(commands ...fsm.Command) Committed {
	data := fsm.AppendHeader(nil)
	for i := range commands {
		data = fsm.AppendCommand(data, &commands[i])
	}
	e := Committed{Index: uint64(len(m.log)) + 1, Term: 1, Data: data}
	m.log = append(m.log, e)
	return e
}

// mustApply applies commands, each in its own entry, as one batch.
func (m *member) mustApply(tb testing.TB, commands ...fsm.Command) []fsm.Outcome {
	tb.Helper()
	var entries []Committed
	for _, c := range commands {
		entries = append(entries, m.entry(c))
	}
	outs, err := m.Apply(entries)
	if err != nil {
		tb.Fatalf("Apply() = %v", err)
	}
	for _, out := range outs {
		if out.Err != nil {
			tb.Fatalf("Apply() = %v", out.Err)
		}
	}
	return outs
}

// must applies ops as one transaction.
func (m *member) must(tb testing.TB, ops ...kv.Op) {
	tb.Helper()
	m.mustApply(tb, fsm.Command{Txn: m.absolute(kv.Txn{Then: ops})})
}

func (m *member) id(table string) fsm.TableID {
	t, _ := m.Table("test", table)
	return t.ID
}

func (m *member) abs(table, key string) []byte { return fsm.AppendKey(nil, m.id(table), []byte(key)) }

// absolute resolves table names.
func (m *member) absolute(t kv.Txn) *fsm.Txn {
	op := func(ops []kv.Op) (out []kv.Op) {
		for _, o := range ops {
			if o.Table != "" {
				o.Key = m.abs(o.Table, string(o.Key))
				if o.StampKey > 0 {
					o.StampKey += int32(fsm.KeyOffset(m.id(o.Table)))
				}
				o.Table = ""
			}
			out = append(out, o)
		}
		return out
	}
	f := &fsm.Txn{Then: op(t.Then), Else: op(t.Else)}
	for _, c := range t.If {
		c.Key, c.Table = m.abs(c.Table, string(c.Key)), ""
		f.If = append(f.If, c)
	}
	return f
}

// dump lists a table as kvtest.Model does.
func (m *member) dump(tb testing.TB, table string) (rows []string) {
	tb.Helper()
	add := func(r *kv.Record) bool {
		rows = append(rows, kvtest.Line(r))
		return true
	}
	prefix := m.abs(table, "")
	if t, _ := m.Table("test", table); t.Residency == kv.Hot {
		m.Root().Scan(prefix, nil, false, add)
		return rows
	}
	if err := m.ColdScan(prefix, nil, false, add); err != nil {
		tb.Fatalf("ColdScan() = %v", err)
	}
	return rows
}

func (m *member) flush(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	if err := m.Flush(ctx); err != nil {
		tb.Fatalf("Flush() = %v", err)
	}
}

// crash returns a member on a copy of state.db as it is on disk at this moment,
// which has replayed the log behind it.
func (m *member) crash(tb testing.TB) *member {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(m.opts.Dir, FileName))
	if err != nil {
		tb.Fatal(err)
	}
	o := m.opts
	o.Dir = tb.TempDir()
	if err := os.WriteFile(filepath.Join(o.Dir, FileName), b, 0o600); err != nil {
		tb.Fatal(err)
	}
	n := openMember(tb, o)
	n.log = m.log
	if _, err := n.Apply(m.log); err != nil {
		tb.Fatalf("Apply() = %v", err)
	}
	return n
}

func put(table, key, value string) kv.Op {
	return kv.Op{Kind: kv.Put, Table: table, Key: []byte(key), Value: []byte(value)}
}

func del(table, key string) kv.Op { return kv.Op{Kind: kv.Delete, Table: table, Key: []byte(key)} }
