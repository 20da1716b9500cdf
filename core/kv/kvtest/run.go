package kvtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// Open returns a new store that has declared Tables, and its leases, nil for an
// implementation without. It registers its own cleanup with t.
type Open func(t *testing.T) (kv.Store, kv.Leases)

// Run runs the suite. Each part opens a store of its own.
func Run(t *testing.T, open Open) {
	t.Helper()
	parts := []struct {
		name string
		run  func(t *testing.T, h *harness)
	}{
		{"OpsAndPairs", testOps},
		{"AgainstModel", testModel},
		{"Limits", testLimits},
		{"Views", testViews},
		{"Ranges", testRanges},
		{"NewestGuardsRanges", testNewest},
		{"Stamps", testStamps},
		{"Wait", testWait},
		{"Watch", testWatch},
		{"WatchProperties", testWatchProperties},
		{"WatchEnds", testWatchEnds},
		{"Leases", testLeases},
		{"LeaseExpiry", testExpiry},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			h := &harness{}
			h.Store, h.leases = open(t)
			p.run(t, h)
		})
	}
}

// patience bounds every wait of the suite; nothing takes nearly as long.
const patience = 30 * time.Second

// harness is a store under test.
type harness struct {
	kv.Store
	leases kv.Leases
}

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// must commits ops that have to succeed.
func (h *harness) must(tb testing.TB, ops ...kv.Op) kv.Result {
	tb.Helper()
	res, err := h.Commit(within(tb), kv.Txn{Then: ops})
	if err != nil || !res.Committed {
		tb.Fatalf("Commit(%+v) = %+v, %v", ops, res, err)
	}
	return res
}

// view pins the local state.
func (h *harness) view(tb testing.TB) kv.View {
	tb.Helper()
	v, err := h.View(within(tb), kv.Local)
	if err != nil {
		tb.Fatalf("View(Local) = %v", err)
	}
	return v
}

// rows lists a table as Model.Dump does.
func rows(tb testing.TB, v kv.View, table string) (lines []string) {
	tb.Helper()
	p, err := v.Range(within(tb), kv.Range{Table: table, Limit: kv.MaxPage})
	if err != nil || p.Next != nil {
		tb.Fatalf("Range(%s) = next %q, %v", table, p.Next, err)
	}
	for _, r := range p.Records {
		lines = append(lines, Line(r))
	}
	return lines
}

// clear empties all tables and leases and returns a model in the same state.
func (h *harness) clear(tb testing.TB) *Model {
	tb.Helper()
	var ops []kv.Op
	for _, t := range Tables() {
		ops = append(ops, kv.Op{Kind: kv.DeletePrefix, Table: t.Name})
	}
	for id := kv.LeaseID(1); id <= 2; id++ {
		ops = append(ops, kv.Op{Kind: kv.Revoke, Lease: id})
	}
	m := NewModel(Tables())
	m.Rev = h.must(tb, ops...).Revision
	return m
}

// both commits to store and model, and compares the outcome and all rows.
func (h *harness) both(tb testing.TB, m *Model, t kv.Txn) {
	tb.Helper()
	want, wantErr := m.Commit(t)
	got, err := h.Commit(within(tb), t)
	switch {
	case (err == nil) != (wantErr == nil), errors.Is(wantErr, kv.ErrLeaseGone) && !errors.Is(err, kv.ErrLeaseGone):
		tb.Fatalf("Commit(%+v) = %v, want %v", t, err, wantErr)
	case err != nil:
	case got.Committed != want.Committed || got.Revision != want.Revision || !slices.Equal(got.Failed, want.Failed):
		tb.Fatalf("Commit(%+v) = %+v, want %+v", t, got, want)
	}
	v := h.view(tb)
	if v.Revision() != m.Rev {
		tb.Fatalf("Revision() = %d, want %d", v.Revision(), m.Rev)
	}
	for table := range m.Tables {
		if got, want := rows(tb, v, table), m.Dump(table); !slices.Equal(got, want) {
			tb.Fatalf("after %+v %s holds\n%s\nwant\n%s", t, table, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		changed, err := v.Changed(within(tb), table)
		if want, known := m.Touched[table]; known && (changed != want || err != nil) {
			tb.Fatalf("after %+v Changed(%s) = %d, %v, want %d", t, table, changed, err, want)
		}
	}
}

func put(table, key, value string) kv.Op {
	return kv.Op{Kind: kv.Put, Table: table, Key: []byte(key), Value: []byte(value)}
}

func del(table, key string) kv.Op { return kv.Op{Kind: kv.Delete, Table: table, Key: []byte(key)} }
