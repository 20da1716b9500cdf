package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

const (
	hotTable  = FirstTable
	coldTable = FirstTable + 1
)

// noDisk has no cold rows beneath the memtable.
type noDisk struct{ err error }

func (d noDisk) Get(string) (*kv.Record, error) { return nil, d.err }

func (d noDisk) Scan(top *Memtable, prefix string, fn func(string, *kv.Record) bool) error {
	top.Ascend(prefix, func(abs string, row ColdRow) bool {
		return strings.HasPrefix(abs, prefix) && (row.Dead || fn(abs, row.Record))
	})
	return d.err
}

// testMachine has a hot and a cold table.
func testMachine(tb testing.TB) *Machine {
	tb.Helper()
	m := NewMachine(noDisk{})
	out, err := m.Apply(&Command{Declare: &Declare{Owner: "test", Tables: []kv.TableSpec{
		{Name: "hot", Residency: kv.Hot}, {Name: "cold", Residency: kv.Cold},
	}}})
	if err != nil || out.Err != nil {
		tb.Fatalf("Apply(declare) = %v, %v", out.Err, err)
	}
	return m
}

func hot(key string) []byte  { return AppendKey(nil, hotTable, []byte(key)) }
func cold(key string) []byte { return AppendKey(nil, coldTable, []byte(key)) }

func put(key, value string) kv.Op { return kv.Op{Kind: kv.Put, Key: hot(key), Value: []byte(value)} }

func putCold(key, value string) kv.Op {
	return kv.Op{Kind: kv.Put, Key: cold(key), Value: []byte(value)}
}

func add(key string, delta, most int64) kv.Op {
	return kv.Op{Kind: kv.Add, Key: hot(key), Delta: delta, Max: most}
}

// count makes the counter n that of the rows with a prefix.
func count(prefix string) kv.Op { return kv.Op{Kind: Count, Key: hot("n"), Value: hot(prefix)} }

func then(ops ...kv.Op) *Txn { return &Txn{Then: ops} }

func apply(tb testing.TB, m *Machine, txn *Txn) Outcome {
	tb.Helper()
	m.Forget()
	out, err := m.Apply(&Command{ID: 1, Txn: txn})
	if err != nil {
		tb.Fatalf("Apply() = %v", err)
	}
	return out
}

// must applies ops that have to succeed.
func must(tb testing.TB, m *Machine, ops ...kv.Op) {
	tb.Helper()
	if out := apply(tb, m, then(ops...)); out.Err != nil || !out.Result.Committed {
		tb.Fatalf("Apply(%+v) = %+v", ops, out)
	}
}

// dump lists rows as key=value@created/modified.version(lease).
func dump(m *Machine) []string {
	var rows []string
	m.hot.Scan(func(abs string, r *kv.Record) bool {
		id, at, _ := SplitKey([]byte(abs))
		if abs[at:] != string(r.Key) {
			rows = append(rows, "key of the record differs: "+abs)
		}
		value := string(r.Value)
		if id == LeaseTable {
			lease, ttl := LeaseOf(r)
			abs, value = fmt.Sprintf("\x01lease %d", lease), ttl.String()
		}
		rows = append(rows, fmt.Sprintf("%s=%q@%d/%d.%d(%d)", abs[1:], value, r.Created, r.Modified, r.Version, r.Lease))
		return true
	})
	m.cold.Scan(func(abs string, row ColdRow) bool {
		if row.Dead {
			rows = append(rows, "cold "+abs[1:]+" dead")
		} else {
			rows = append(rows, fmt.Sprintf("cold %s=%q@%d/%d.%d", abs[1:], row.Record.Value, row.Record.Created, row.Record.Modified, row.Record.Version))
		}
		return true
	})
	return rows
}

func wantRows(tb testing.TB, m *Machine, want ...string) {
	tb.Helper()
	if got := dump(m); !slices.Equal(got, want) {
		tb.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// CTR-K05: what each op does, alone and after another.
func TestOps(t *testing.T) {
	lease := func(kind kv.Kind, ttl time.Duration) kv.Op { return kv.Op{Kind: kind, Lease: 9, TTL: ttl} }
	leased := func(o kv.Op) kv.Op { o.Lease = 9; return o }
	skip := func(o kv.Op) kv.Op { o.SkipEqual = true; return o }
	changed := func(o kv.Op) kv.Op { o.IfChanged = true; return o }
	touch := func(key string) kv.Op { return kv.Op{Kind: kv.Touch, Key: hot(key)} }
	del := func(key string) kv.Op { return kv.Op{Kind: kv.Delete, Key: hot(key)} }
	delPrefix := func(key string) kv.Op { return kv.Op{Kind: kv.DeletePrefix, Key: hot(key)} }
	delCold := func(key string) kv.Op { return kv.Op{Kind: kv.Delete, Key: cold(key)} }
	tests := map[string]struct {
		txns [][]kv.Op
		want []string
		rev  kv.Revision
	}{
		"put":                       {[][]kv.Op{{put("a", "1")}}, []string{`a="1"@1/1.1(0)`}, 1},
		"put twice":                 {[][]kv.Op{{put("a", "1")}, {put("a", "2")}}, []string{`a="2"@1/2.2(0)`}, 2},
		"put equal":                 {[][]kv.Op{{put("a", "1")}, {put("a", "1")}}, []string{`a="1"@1/2.2(0)`}, 2},
		"put equal skipped":         {[][]kv.Op{{put("a", "1")}, {skip(put("a", "1"))}}, []string{`a="1"@1/1.1(0)`}, 1},
		"put differing not skipped": {[][]kv.Op{{put("a", "1")}, {skip(put("a", "2"))}}, []string{`a="2"@1/2.2(0)`}, 2},
		"put absent empty":          {[][]kv.Op{{skip(put("a", ""))}}, []string{`a=""@1/1.1(0)`}, 1},
		"put other lease not skipped": {
			[][]kv.Op{{put("a", "1"), lease(kv.Grant, time.Second)}, {skip(leased(put("a", "1")))}},
			[]string{`lease 9="1s"@1/1.1(0)`, `a="1"@1/2.2(9)`},
			2,
		},
		"put drops the lease": {
			[][]kv.Op{{lease(kv.Grant, time.Second), leased(put("a", "1"))}, {put("a", "1")}, {lease(kv.Revoke, 0)}},
			[]string{`a="1"@1/2.2(0)`},
			3,
		},
		"touch absent":       {[][]kv.Op{{touch("a")}}, []string{`a=""@1/1.1(0)`}, 1},
		"touch keeps value":  {[][]kv.Op{{put("a", "1")}, {touch("a")}}, []string{`a="1"@1/2.2(0)`}, 2},
		"touch keeps lease":  {[][]kv.Op{{lease(kv.Grant, time.Second), leased(put("a", "1"))}, {touch("a")}}, []string{`lease 9="1s"@1/1.1(0)`, `a="1"@1/2.2(9)`}, 2},
		"delete":             {[][]kv.Op{{put("a", "1"), put("b", "2")}, {del("a")}}, []string{`b="2"@1/1.1(0)`}, 2},
		"delete absent":      {[][]kv.Op{{del("a")}}, nil, 0},
		"delete, put anew":   {[][]kv.Op{{put("a", "1")}, {del("a")}, {put("a", "2")}}, []string{`a="2"@3/3.1(0)`}, 3},
		"delete, put in one": {[][]kv.Op{{put("a", "1")}, {del("a"), put("a", "2")}}, []string{`a="2"@2/2.1(0)`}, 2},
		"delete prefix":      {[][]kv.Op{{put("a1", "1"), put("a2", "2"), put("b", "3")}, {delPrefix("a")}}, []string{`b="3"@1/1.1(0)`}, 2},
		"delete table":       {[][]kv.Op{{put("a", "1"), put("b", "3"), putCold("c", "4")}, {delPrefix("")}}, []string{`cold c="4"@1/1.0`}, 2},
		"add":                {[][]kv.Op{{add("n", 5, 9)}, {add("n", 4, 9)}}, []string{"n=\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\t\"@1/2.2(0)"}, 2},
		"count": {
			[][]kv.Op{{put("a1", ""), put("a2", ""), put("b", "")}, {count("a"), add("n", 1, 9)}},
			[]string{`a1=""@1/1.1(0)`, `a2=""@1/1.1(0)`, `b=""@1/1.1(0)`, "n=\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x03\"@2/2.2(0)"},
			2,
		},
		"count none":           {[][]kv.Op{{count("a")}}, []string{"n=\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"@1/1.1(0)"}, 1},
		"count, right already": {[][]kv.Op{{put("b", ""), add("n", 1, 9)}, {count("b")}}, []string{`b=""@1/1.1(0)`, "n=\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\"@1/1.1(0)"}, 1},
		"count over a text":    {[][]kv.Op{{put("n", "text")}, {count("b")}}, []string{"n=\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"@1/2.2(0)"}, 2},
		"add nothing":          {[][]kv.Op{{add("n", 0, 9)}}, nil, 0},
		"if changed, not":      {[][]kv.Op{{changed(put("a", "1"))}}, nil, 0},
		"if changed, absent":   {[][]kv.Op{{del("x"), changed(put("a", "1"))}}, nil, 0},
		"if changed":           {[][]kv.Op{{put("b", "1"), changed(touch("a"))}}, []string{`a=""@1/1.1(0)`, `b="1"@1/1.1(0)`}, 1},
		"if changed, skipped":  {[][]kv.Op{{put("b", "1")}, {skip(put("b", "1")), changed(touch("a"))}}, []string{`b="1"@1/1.1(0)`}, 1},
		"grant":                {[][]kv.Op{{lease(kv.Grant, 1500*time.Microsecond)}}, []string{`lease 9="2ms"@1/1.1(0)`}, 1},
		"grant again":          {[][]kv.Op{{lease(kv.Grant, time.Second)}, {lease(kv.Grant, time.Second)}}, []string{`lease 9="1s"@1/1.1(0)`}, 1},
		"grant other ttl":      {[][]kv.Op{{lease(kv.Grant, time.Second)}, {lease(kv.Grant, time.Minute)}}, []string{`lease 9="1m0s"@1/2.2(0)`}, 2},
		"revoke takes rows":    {[][]kv.Op{{lease(kv.Grant, time.Second), leased(put("a", "1")), leased(put("b", "1")), put("c", "1")}, {lease(kv.Revoke, 0)}}, []string{`c="1"@1/1.1(0)`}, 2},
		"revoke absent":        {[][]kv.Op{{lease(kv.Revoke, 0)}}, nil, 0},
		"cold put":             {[][]kv.Op{{putCold("a", "1")}, {putCold("a", "2")}}, []string{`cold a="2"@2/2.0`}, 2},
		"cold put skipped":     {[][]kv.Op{{putCold("a", "1")}, {skip(putCold("a", "1"))}}, []string{`cold a="1"@1/1.0`}, 1},
		"cold delete":          {[][]kv.Op{{putCold("a", "1")}, {delCold("a")}}, []string{`cold a dead`}, 2},
		"cold delete absent":   {[][]kv.Op{{delCold("a")}}, nil, 0},
		"cold delete twice":    {[][]kv.Op{{putCold("a", "1")}, {delCold("a")}, {delCold("a")}}, []string{`cold a dead`}, 2},
		"cold delete prefix":   {[][]kv.Op{{putCold("a1", "1"), putCold("a2", "1"), putCold("b", "1")}, {{Kind: kv.DeletePrefix, Key: cold("a")}}}, []string{`cold a1 dead`, `cold a2 dead`, `cold b="1"@1/1.0`}, 2},
		"later ops see before": {[][]kv.Op{{put("a", "1"), delPrefix("a"), put("a", "2"), touch("a")}}, []string{`a="2"@1/1.2(0)`}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := testMachine(t)
			for _, ops := range tt.txns {
				must(t, m, ops...)
			}
			wantRows(t, m, tt.want...)
			if got := m.Revision(); got != tt.rev {
				t.Errorf("Revision() = %d, want %d", got, tt.rev)
			}
		})
	}
}

// CTR-D06, CTR-K05: a transaction that is refused leaves no trace, whatever it
// did before.
func TestRefusedTxnIsUndone(t *testing.T) {
	before := []kv.Op{
		put("a", "1"), put("b", "2"), put("ba", "3"), putCold("c", "4"), add("n", 5, 9),
		{Kind: kv.Grant, Lease: 9, TTL: time.Second},
		{Kind: kv.Put, Key: hot("l"), Lease: 9},
	}
	work := []kv.Op{
		put("a", "x"), put("a", "y"), put("new", "1"),
		{Kind: kv.Touch, Key: hot("b")},
		{Kind: kv.DeletePrefix, Key: hot("b")},
		put("b", "again"), add("n", 1, 9),
		putCold("c", "x"),
		{Kind: kv.Delete, Key: cold("c")},
		putCold("d", "1"),
		{Kind: kv.Revoke, Lease: 9},
		{Kind: kv.Grant, Lease: 10, TTL: time.Second},
	}
	tests := map[string]struct {
		last   kv.Op
		err    error
		failed []int
	}{
		"bounds":     {last: add("n", 4, 9), failed: []int{len(work)}},
		"overflow":   {last: add("n", math.MaxInt64, math.MaxInt64), failed: []int{len(work)}},
		"no counter": {last: add("a", 1, 9), err: ErrInvalid},
		"no lease":   {last: kv.Op{Kind: kv.Put, Key: hot("z"), Lease: 9}, err: kv.ErrLeaseGone},
		"touch":      {last: kv.Op{Kind: kv.Touch, Key: hot("z"), Lease: 9}, err: kv.ErrLeaseGone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := testMachine(t)
			must(t, m, before...)
			want := dump(m)
			out := apply(t, m, then(append(slices.Clone(work), tt.last)...))
			if !errors.Is(out.Err, tt.err) || !slices.Equal(out.Result.Failed, tt.failed) || out.Result.Committed {
				t.Errorf("Apply() = %+v, want failed %v, error %v", out, tt.failed, tt.err)
			}
			wantRows(t, m, want...)
			if out.Result.Revision != 1 || m.Revision() != 1 || len(m.Changes()) != 0 {
				t.Errorf("revision %d with %d changes, want 1 and none", out.Result.Revision, len(m.Changes()))
			}
			must(t, m, kv.Op{Kind: kv.Revoke, Lease: 9}) // the lease still has its row
			if m.hot.Len() != len(want)-3 {
				t.Errorf("after Revoke %v", dump(m))
			}
		})
	}
}

// Several Adds out of bounds are all reported, behind the compares.
func TestAddsReportedByIndex(t *testing.T) {
	m := testMachine(t)
	holds := kv.Compare{Key: hot("a"), Target: kv.Modified, Rel: kv.Equal}
	out := apply(t, m, &Txn{If: []kv.Compare{holds, holds}, Then: []kv.Op{add("x", 2, 1), add("y", 1, 1), add("z", 2, 1)}})
	if want := []int{2, 4}; !slices.Equal(out.Result.Failed, want) || out.Result.Committed {
		t.Errorf("Apply() = %+v, want failed %v", out, want)
	}
	fails := kv.Compare{Key: hot("a"), Target: kv.Modified, Rel: kv.NotEqual}
	out = apply(t, m, &Txn{If: []kv.Compare{holds, fails}, Else: []kv.Op{add("x", 2, 1)}})
	if want := []int{1, 2}; !slices.Equal(out.Result.Failed, want) {
		t.Errorf("Apply() of Else = %+v, want failed %v", out, want)
	}
	wantRows(t, m)
}

// CTR-K04: every target and relation, and every failing index.
func TestCompares(t *testing.T) {
	m := testMachine(t)
	must(t, m, kv.Op{Kind: kv.Grant, Lease: 9, TTL: time.Second}, put("a", "v"), putCold("a", "v"))
	must(t, m, kv.Op{Kind: kv.Put, Key: hot("a"), Value: []byte("v"), Lease: 9})
	must(t, m, put("ab", "w"))
	found := map[kv.Target]uint64{kv.Modified: 2, kv.Created: 1, kv.Lease: 9, kv.Newest: 3}
	var cs []kv.Compare
	var want []int
	expect := func(c kv.Compare, holds bool) {
		if !holds {
			want = append(want, len(cs))
		}
		cs = append(cs, c)
	}
	for target, have := range found {
		for _, key := range []string{"a", "zz"} {
			if key == "zz" {
				have = 0
			}
			for d := range uint64(3) {
				num := have + d - 1
				if have == 0 && d == 0 {
					continue
				}
				c := kv.Compare{Key: hot(key), Target: target, Num: num}
				for rel, holds := range map[kv.Relation]bool{
					kv.Equal: have == num, kv.NotEqual: have != num, kv.AtMost: have <= num, kv.AtLeast: have >= num,
				} {
					c.Rel = rel
					expect(c, holds)
				}
			}
		}
	}
	for _, key := range [][]byte{hot("a"), cold("a")} {
		expect(kv.Compare{Key: key, Target: kv.Value, Rel: kv.Equal, Bytes: []byte("v")}, true)
		expect(kv.Compare{Key: key, Target: kv.Value, Rel: kv.AtMost, Bytes: []byte("u")}, false)
		expect(kv.Compare{Key: key, Target: kv.Value, Rel: kv.AtLeast, Bytes: []byte("w")}, false)
	}
	expect(kv.Compare{Key: hot("zz"), Target: kv.Value, Rel: kv.Equal}, true)
	expect(kv.Compare{Key: cold("a"), Target: kv.Modified, Rel: kv.Equal, Num: 1}, true)
	expect(kv.Compare{Key: cold("zz"), Target: kv.Modified, Rel: kv.Equal}, true)

	out := apply(t, m, &Txn{If: cs, Then: []kv.Op{put("then", "")}, Else: []kv.Op{put("else", "")}})
	if out.Err != nil || !slices.Equal(out.Result.Failed, want) || out.Result.Committed || out.Result.Revision != 4 {
		t.Errorf("Apply() = %+v, want failed %v at 4", out, want)
	}
	if _, ok := m.hot.Get(string(hot("else"))); !ok {
		t.Error("Else did not run")
	}
	guarded := apply(t, m, &Txn{Guards: cs, Then: []kv.Op{put("x", "")}, Else: []kv.Op{put("x", "")}})
	if !slices.Equal(guarded.Guards, want) || guarded.Result.Committed || guarded.Result.Revision != 4 || len(m.Changes()) != 0 {
		t.Errorf("Apply() = %+v, want guards %v at 4", guarded, want)
	}
}

func TestWalkLimits(t *testing.T) {
	m := testMachine(t)
	fill := func(key func(string) []byte, n int) {
		for i := 0; i < n; i += 1000 {
			var ops []kv.Op
			for j := range 1000 {
				ops = append(ops, kv.Op{Kind: kv.Put, Key: key(fmt.Sprintf("p%07d", i+j))})
			}
			must(t, m, ops...)
		}
	}
	newest := then(put("x", "1"))
	newest.If = []kv.Compare{{Key: hot("p"), Target: kv.Newest, Rel: kv.AtLeast}}
	fill(hot, kv.MaxNewest)
	if out := apply(t, m, newest); out.Err != nil {
		t.Errorf("Newest over %d rows = %v", kv.MaxNewest, out.Err)
	}
	must(t, m, put("pz", ""))
	if out := apply(t, m, newest); !errors.Is(out.Err, kv.ErrTooLarge) {
		t.Errorf("Newest over more rows = %v, want %v", out.Err, kv.ErrTooLarge)
	}
	for name, key := range map[string]func(string) []byte{"hot": hot, "cold": cold} {
		fill(key, kv.MaxPrefix)
		must(t, m, kv.Op{Kind: kv.Put, Key: key("pz")})
		remove := then(put("x", "2"), kv.Op{Kind: kv.DeletePrefix, Key: key("p")})
		if out := apply(t, m, remove); !errors.Is(out.Err, kv.ErrTooLarge) {
			t.Errorf("%s DeletePrefix of too many rows = %v, want %v", name, out.Err, kv.ErrTooLarge)
		}
		must(t, m, kv.Op{Kind: kv.Delete, Key: key("pz")})
		if out := apply(t, m, remove); out.Err != nil || len(m.Changes()) != kv.MaxPrefix+1 {
			t.Errorf("%s DeletePrefix = %v with %d changes, want %d", name, out.Err, len(m.Changes()), kv.MaxPrefix+1)
		}
	}
}

// CTR-D04: stamps go into keys and values, and skip compares what is written.
func TestStamps(t *testing.T) {
	m := testMachine(t)
	must(t, m, put("first", ""))
	key, value := hot("k########"), []byte("v########")
	must(t, m,
		kv.Op{Kind: kv.Put, Key: key, Value: value, StampKey: int32(KeyOffset(hotTable)) + 2, StampValue: 2, Seq: 5},
		kv.Op{Kind: kv.Touch, Key: key, StampKey: int32(KeyOffset(hotTable)) + 2, Seq: 6},
		kv.Op{Kind: kv.Put, Key: cold("########"), StampKey: int32(KeyOffset(coldTable)) + 1, Seq: 7},
	)
	stamp := func(seq uint16) string {
		return string(binary.BigEndian.AppendUint64(nil, uint64(kv.NewStamp(2, seq))))
	}
	wantRows(t, m,
		`first=""@1/1.1(0)`,
		fmt.Sprintf("k%s=%q@2/2.1(0)", stamp(5), "v"+stamp(5)),
		fmt.Sprintf("k%s=\"\"@2/2.1(0)", stamp(6)),
		fmt.Sprintf("cold %s=\"\"@2/2.0", stamp(7)),
	)
	if string(key) != string(hot("k########")) || string(value) != "v########" {
		t.Error("Apply() wrote to the bytes of the entry")
	}
	again := kv.Op{Kind: kv.Put, Key: hot("s"), Value: []byte("########"), StampValue: 1, SkipEqual: true}
	must(t, m, again)
	must(t, m, again)
	if m.Revision() != 4 {
		t.Errorf("Revision() = %d, want 4: a stamp makes the value new", m.Revision())
	}
}

// RBS-03: one change per row and revision, with the right previous record.
func TestChanges(t *testing.T) {
	m := testMachine(t)
	must(t, m, put("a", "1"), put("b", "1"), put("gone", "1"))
	must(t, m,
		put("b", "2"), put("b", "3"),
		kv.Op{Kind: kv.Delete, Key: hot("a")}, put("a", "4"),
		put("brief", "x"), kv.Op{Kind: kv.Delete, Key: hot("brief")},
		kv.Op{Kind: kv.Delete, Key: hot("gone")},
		putCold("c", "1"), putCold("c", "2"),
		kv.Op{Kind: kv.Grant, Lease: 9, TTL: time.Second},
	)
	var got []string
	for _, c := range m.Changes() {
		s := fmt.Sprintf("%d %s=%s@%d", c.Table, c.Record.Key, c.Record.Value, c.Record.Modified)
		if c.Table == LeaseTable {
			s = "lease"
		}
		if c.Deleted {
			s += " deleted"
		}
		if c.Previous != nil {
			s += fmt.Sprintf(" was %s@%d", c.Previous.Value, c.Previous.Modified)
		}
		got = append(got, s)
		if id, at, _ := SplitKey([]byte(c.Abs)); id != c.Table || c.Abs[at:] != string(c.Record.Key) {
			t.Errorf("change of %q has Abs %q", c.Record.Key, c.Abs)
		}
	}
	want := []string{"16 b=3@2 was 1@1", "16 a=4@2 was 1@1", "16 gone=@2 deleted was 1@1", "17 c=2@2", "lease"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Changes():\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if changed := m.Changed(); changed[hotTable] != 2 || changed[coldTable] != 2 || changed[LeaseTable] != 2 {
		t.Errorf("Changed() = %v", changed)
	}
}

// A machine that cannot read cold rows stops, and has changed nothing.
func TestUnreadableColdRowsAreFatal(t *testing.T) {
	broken := errors.New("broken")
	for name, txn := range map[string]*Txn{
		"compare":       {If: []kv.Compare{{Key: cold("a"), Target: kv.Modified, Rel: kv.Equal}}, Then: []kv.Op{put("a", "1")}},
		"delete":        then(put("a", "1"), kv.Op{Kind: kv.Delete, Key: cold("a")}),
		"delete prefix": then(put("a", "1"), kv.Op{Kind: kv.DeletePrefix, Key: cold("a")}),
		"skip equal":    then(put("a", "1"), kv.Op{Kind: kv.Put, Key: cold("a"), SkipEqual: true}),
	} {
		t.Run(name, func(t *testing.T) {
			m := testMachine(t)
			m.disk = noDisk{err: broken}
			if _, err := m.Apply(&Command{Txn: txn}); !errors.Is(err, broken) {
				t.Errorf("Apply() = %v, want %v", err, broken)
			}
			wantRows(t, m)
		})
	}
}
