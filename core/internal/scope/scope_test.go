package scope_test

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// The contract of kv itself is tested by kvtest, on this package too; here is
// what more than one owner sees.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func attach(t *testing.T, n *core.Node, owner string, tables ...kv.TableSpec) kv.Store {
	t.Helper()
	c, err := n.Attach(t.Context(), owner, tables)
	if err != nil {
		t.Fatalf("Attach(%s) = %v", owner, err)
	}
	return c.KV()
}

func put(t *testing.T, s kv.Store, table, key, value string) {
	t.Helper()
	res, err := s.Commit(t.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: table, Key: []byte(key), Value: []byte(value)}}})
	if err != nil || !res.Committed {
		t.Fatalf("Commit(%s/%s) = %+v, %v", table, key, res, err)
	}
}

func rows(t *testing.T, s kv.Store, table string) string {
	t.Helper()
	v, err := s.View(t.Context(), kv.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.Range(t.Context(), kv.Range{Table: table})
	if err != nil {
		t.Fatalf("Range(%s) = %v", table, err)
	}
	var out []string
	for _, r := range p.Records {
		out = append(out, string(r.Key)+"="+string(r.Value))
	}
	return strings.Join(out, " ")
}

var (
	hot  = kv.TableSpec{Name: "t", Residency: kv.Hot}
	cold = kv.TableSpec{Name: "c", Residency: kv.Cold}
)

// CTR-K01: the same table name, and the same key, of two owners are two rows,
// and what one does to all of its rows does not touch the other's.
func TestOwnersApart(t *testing.T) {
	n := coretest.Start(t)
	one, two := attach(t, n, "one", hot, cold), attach(t, n, "two", hot, cold)
	for _, table := range []string{"t", "c"} {
		put(t, one, table, "k", "1")
		put(t, two, table, "k", "2")
		if a, b := rows(t, one, table), rows(t, two, table); a != "k=1" || b != "k=2" {
			t.Errorf("rows of %s = %q, %q, want k=1, k=2", table, a, b)
		}
		if _, err := one.Commit(t.Context(), kv.Txn{Then: []kv.Op{{Kind: kv.DeletePrefix, Table: table}}}); err != nil {
			t.Fatal(err)
		}
		if a, b := rows(t, one, table), rows(t, two, table); a != "" || b != "k=2" {
			t.Errorf("rows of %s after one deleted its own = %q, %q", table, a, b)
		}
	}
}

// A watcher hears of its own table only.
func TestWatchApart(t *testing.T) {
	n := coretest.Start(t)
	one, two := attach(t, n, "one", hot), attach(t, n, "two", hot)
	st, err := one.Watch(t.Context(), kv.Watch{Table: "t"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	put(t, two, "t", "k", "2")
	put(t, one, "t", "k", "1")
	for {
		b, err := st.Next(t.Context())
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
		if len(b.Events) == 0 {
			continue // a mark
		}
		if e := b.Events[0]; len(b.Events) != 1 || string(e.Record.Key) != "k" || string(e.Record.Value) != "1" {
			t.Errorf("Next() = %+v, want the row of one", e.Record)
		}
		return
	}
}

// ARC-S07: ids of tables outlive restarts, in whatever order owners come back,
// and tables that are added later change nothing.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	on := func(c *core.Config) { c.DataDir = dir }
	n := coretest.Start(t, on)
	put(t, attach(t, n, "one", hot), "t", "k", "1")
	put(t, attach(t, n, "two", hot), "t", "k", "2")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = coretest.Start(t, on)
	two, one := attach(t, n, "two", cold, hot), attach(t, n, "one", hot)
	if a, b := rows(t, one, "t"), rows(t, two, "t"); a != "k=1" || b != "k=2" {
		t.Errorf("rows = %q, %q, want k=1, k=2", a, b)
	}
}

func TestUndeclared(t *testing.T) {
	n := coretest.Start(t)
	s := attach(t, n, "one", hot, cold)
	attach(t, n, "two", kv.TableSpec{Name: "theirs", Residency: kv.Hot})
	v, err := s.View(t.Context(), kv.Local)
	if err != nil {
		t.Fatal(err)
	}
	_, getErr := s.Get(t.Context(), "theirs", []byte("k"))
	_, rangeErr := v.Range(t.Context(), kv.Range{Table: "theirs"})
	_, changedErr := v.Changed(t.Context(), "theirs")
	_, watchErr := s.Watch(t.Context(), kv.Watch{Table: "theirs"})
	_, coldErr := s.Watch(t.Context(), kv.Watch{Table: "c"})
	_, elseErr := s.Commit(t.Context(), kv.Txn{Else: []kv.Op{{Kind: kv.Delete, Table: "theirs", Key: []byte("k")}}})
	for call, err := range map[string]error{
		"Get": getErr, "Range": rangeErr, "Changed": changedErr, "Watch": watchErr, "Watch(cold)": coldErr, "Commit": elseErr,
	} {
		if err == nil || errors.Is(err, kv.ErrNotFound) {
			t.Errorf("%s of a table that is not one's own = %v, want an error", call, err)
		}
	}
	// The prefix of a Count is absolute, so it is no owner's to write.
	count := kv.Op{Kind: fsm.Count, Table: "t", Key: []byte("n"), Value: fsm.AppendKey(nil, fsm.FirstTable, nil)}
	if _, err := s.Commit(t.Context(), kv.Txn{Then: []kv.Op{count}}); !errors.Is(err, fsm.ErrInvalid) {
		t.Errorf("Commit(count) = %v, want %v", err, fsm.ErrInvalid)
	}
	if _, err := n.Attach(t.Context(), "one", []kv.TableSpec{{Name: "t", Residency: kv.Cold}}); err == nil {
		t.Error("Attach() with another residency = nil error")
	}
	for _, owner := range []string{"core", "embedder", ""} {
		if _, err := n.Attach(t.Context(), owner, nil); err == nil {
			t.Errorf("Attach(%q) = nil error", owner)
		}
	}
}
