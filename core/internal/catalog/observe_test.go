package catalog

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// rows is a store that feeds a rig, without raft.
type rows struct {
	*store.Store
	rig   *rig
	index uint64
}

func newRows(t *testing.T) *rows {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), InitialMmapSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &rows{Store: s, rig: newRig(t)}
}

func (r *rows) apply(c *fsm.Command) {
	r.rig.t.Helper()
	r.index++
	outs, err := r.Apply([]store.Committed{{Index: r.index, Term: 1, Data: fsm.AppendCommand(fsm.AppendHeader(nil), c)}})
	if err != nil || outs[0].Err != nil {
		r.rig.t.Fatalf("Apply() = %+v, %v", outs, err)
	}
}

func (r *rows) declare() {
	r.apply(&fsm.Command{Declare: &fsm.Declare{Owner: Owner, Tables: Tables()}})
}

// write applies ops whose keys are those of a table.
func (r *rows) write(ops ...kv.Op) {
	r.rig.t.Helper()
	for i := range ops {
		table, _ := r.Table(Owner, ops[i].Table)
		ops[i].Key, ops[i].Table = fsm.AppendKey(nil, table.ID, ops[i].Key), ""
	}
	r.apply(&fsm.Command{Txn: &fsm.Txn{Then: ops}})
}

var persistentKey = registry.PublisherKey{Owner: "one", Scope: "rows"}

func instanceOp(name, host string) kv.Op {
	x := at(name, host, 1)
	x.Status = registry.Passing
	key := RowOfInstance(&persistentKey, &x.Service, "", HostPort(host, 1))
	return kv.Op{Kind: kv.Put, Table: TableInstance, Key: key, Value: EncodeInstance(&x)}
}

// CTR-M06: one service may hold both kinds; when the state is replaced only the
// persistent ones are read anew.
func TestRebuild(t *testing.T) {
	r := newRows(t)
	if err := r.Observe(Observe(r.rig.Engine)); err != nil { // no tables yet
		t.Fatal(err)
	}
	r.declare()
	r.rig.open("c")
	r.rig.publish("c", registry.Merge, at("a", "h2", 1))
	settings := registry.Service{Key: svc("set"), Protect: 0.5}
	r.write(instanceOp("a", "h1"), instanceOp("b", "h1"),
		kv.Op{Kind: kv.Put, Table: TableService, Key: RowOfService(&settings.Key), Value: EncodeService(&settings)})
	st, err := r.rig.Watch(t.Context(), registry.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.rig.next(st); got != "+a +b +set" && got != "+a +set +b" {
		t.Fatalf("Next() = %q", got)
	}
	check := func(step string) {
		t.Helper()
		r.rig.want("a", "h1:1 h2:1")
		r.rig.want("b", "h1:1")
		s := r.rig.snapshot("a")
		if s == nil || !s.Mixed || s.Revision == 0 || r.rig.snapshot("b").Mixed || r.rig.snapshot("set").Service.Protect != 0.5 {
			t.Errorf("%s: snapshot = %+v", step, s)
		}
	}
	check("applied")
	// A second observer of the same engine reads everything anew, as after a
	// snapshot of another member.
	if err := Observe(r.rig.Engine).Rebuild(r.Store); err != nil {
		t.Fatal(err)
	}
	check("rebuilt")
	got := r.rig.next(st)
	for _, s := range []string{"-a", "-b", "-set", "+a", "+b", "+set"} {
		if contains(got, s) {
			t.Errorf("Next() after Rebuild = %q, want no service that came or went", got)
		}
	}
	if got, _ := r.rig.Stats(t.Context()); got.Instances != 3 || got.Services != 3 {
		t.Errorf("Stats() = %+v, want three instances in three services", got)
	}
	// Rows that are gone in the new state are gone.
	other := newRows(t)
	other.declare()
	if err := Observe(r.rig.Engine).Rebuild(other.Store); err != nil {
		t.Fatal(err)
	}
	r.rig.want("a", "h2:1")
	r.rig.want("b", "none")
	r.rig.want("set", "none")
	if _, err := r.rig.Published(t.Context(), persistentKey); err == nil {
		t.Error("Published() of rows that are gone = nil error")
	}
}

func contains(line, word string) bool {
	for len(line) >= len(word) {
		if line[:len(word)] == word && (len(line) == len(word) || line[len(word)] == ' ') {
			return true
		}
		line = line[1:]
	}
	return false
}

// A row that this build does not understand is told of and holds nobody up.
func TestStrangeRows(t *testing.T) {
	r := newRows(t)
	core, logs := observer.New(zap.ErrorLevel)
	r.rig.settings.Logger = zap.New(core)
	if err := r.Observe(Observe(r.rig.Engine)); err != nil {
		t.Fatal(err)
	}
	r.declare()
	for _, table := range []string{TablePublisher, TableInstance, TableService, TableOverride} {
		r.write(kv.Op{Kind: kv.Put, Table: table, Key: []byte("no key of ours"), Value: []byte{rowFormat}})
	}
	strange := instanceOp("a", "h")
	strange.Value = []byte{9}
	r.write(strange, instanceOp("b", "h"))
	if got := logs.Len(); got != 5 {
		t.Errorf("%d errors logged, want 5", got)
	}
	r.rig.want("b", "h:1")
	if err := Observe(newRig(t).Engine).Rebuild(r.Store); err == nil {
		t.Error("Rebuild() over rows that make no sense = nil")
	}
}
