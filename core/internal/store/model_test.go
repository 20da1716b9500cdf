package store

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/kvtest"
)

// trial drives a member and the naive model side by side.
type trial struct {
	t     *rapid.T
	tb    testing.TB
	m     *member
	model *kvtest.Model
	watch kv.Stream // of the hot table, with previous records
	seen  map[string]string
}

// ARC-S03, ARC-S04: whatever is applied, persisted, lost in a crash and replayed,
// or sent as a snapshot, the rows are those of the naive model.
func TestStoreAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var open []*member
		defer func() {
			for _, m := range open {
				_ = m.Close()
			}
		}()
		x := &trial{t: rt, tb: rt2tb{TB: t, t: rt}, model: kvtest.NewModel(kvtest.Tables())}
		x.use(newMember(x.tb, held(t.TempDir())))
		open = append(open, x.m)
		rt.Repeat(map[string]func(*rapid.T){
			"apply": func(rt *rapid.T) { x.apply(rt) },
			"flush": func(*rapid.T) { x.m.flush(x.tb) },
			"crash": func(*rapid.T) {
				n := x.m.crash(x.tb)
				_ = x.m.Close()
				open = append(open, n)
				x.use(n)
			},
			"seal": func(*rapid.T) { // a batch that waits for its commit
				x.m.mu.Lock()
				defer x.m.mu.Unlock()
				x.m.seal()
				x.m.publish()
			},
			"snapshot": func(*rapid.T) {
				n := openMember(x.tb, held(t.TempDir()))
				open = append(open, n)
				transfer(x.tb, x.m, n)
				n.log = x.m.log
				x.use(n)
			},
			"": func(*rapid.T) { x.check() },
		})
	})
}

// rt2tb lets helpers fail the current trial.
type rt2tb struct {
	testing.TB
	t *rapid.T
}

func (r rt2tb) Fatalf(format string, args ...any) { r.t.Fatalf(format, args...) }
func (r rt2tb) Fatal(args ...any)                 { r.t.Fatal(args...) }
func (r rt2tb) Cleanup(func())                    {}

// use goes on with another member in the same state.
func (x *trial) use(m *member) {
	x.m = m
	x.seen = map[string]string{}
	m.Root().Scan(m.abs("hot", ""), nil, false, func(r *kv.Record) bool {
		x.seen[string(r.Key)] = kvtest.Line(r)
		return true
	})
	w, err := m.Watch(WatchOptions{Table: m.id("hot"), Previous: true})
	if err != nil {
		x.t.Fatalf("Watch() = %v", err)
	}
	x.watch = w
	if b, err := w.Next(x.tb.Context()); err != nil || b.Revision != x.model.Rev || len(b.Events) != 0 {
		x.t.Fatalf("Next() = %+v, %v, want a mark at %d", b, err, x.model.Rev)
	}
}

func (x *trial) apply(rt *rapid.T) {
	txns := rapid.SliceOfN(kvtest.Txns(x.model), 1, 3).Draw(rt, "txns")
	var commands []fsm.Command
	for i, t := range txns {
		commands = append(commands, fsm.Command{ID: uint64(i), Txn: x.m.absolute(t)})
	}
	before := x.model.Rev
	outs, err := x.m.Apply([]Committed{x.m.entry(commands...)})
	if err != nil || len(outs) != len(txns) {
		rt.Fatalf("Apply() = %v, %v", outs, err)
	}
	for i, t := range txns {
		want, err := x.model.Commit(t)
		got := outs[i]
		if (got.Err == nil) != (err == nil) {
			rt.Fatalf("Apply(%+v) = %v, want %v", t, got.Err, err)
		}
		if err == nil && (got.Result.Committed != want.Committed || !slices.Equal(got.Result.Failed, want.Failed)) {
			rt.Fatalf("Apply(%+v) = %+v, want %+v", t, got.Result, want)
		}
		if got.Result.Revision != want.Revision || got.ID != uint64(i) {
			rt.Fatalf("Apply(%+v) = %+v, want %+v", t, got, want)
		}
	}
	if x.model.Rev > before {
		x.follow()
	}
}

// follow reads the watch up to now and replays it (RBS-03).
func (x *trial) follow() {
	last := kv.Revision(0)
	for {
		b, more, err := x.watch.(*stream).pull()
		if err != nil {
			x.t.Fatalf("Next() = %v", err)
		}
		for _, e := range b.Events {
			key, rev := string(e.Record.Key), e.Record.Modified
			if rev < last || rev > b.Revision {
				x.t.Fatalf("event of revision %d behind %d in a batch of %d", rev, last, b.Revision)
			}
			last = rev
			was, exists := x.seen[key]
			switch {
			case (e.Previous != nil) != exists, exists && kvtest.Line(e.Previous) != was:
				x.t.Fatalf("event of %q has previous %v, want %q", key, e.Previous, was)
			case e.Deleted:
				delete(x.seen, key)
			default:
				x.seen[key] = kvtest.Line(e.Record)
			}
		}
		if !more {
			break
		}
	}
	rows := x.m.dump(x.tb, "hot")
	if got := slices.Sorted(maps.Values(x.seen)); !slices.Equal(got, slices.Sorted(slices.Values(rows))) {
		x.t.Fatalf("events lead to\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(rows, "\n"))
	}
}

// check compares all rows, and reads each of them alone.
func (x *trial) check() {
	for table, residency := range x.model.Tables {
		want := x.model.Dump(table)
		if got := x.m.dump(x.tb, table); !slices.Equal(got, want) {
			x.t.Fatalf("%s:\n%s\nwant\n%s", table, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := x.m.Root().Changed(x.m.id(table)); got != x.model.Touched[table] {
			x.t.Fatalf("Changed(%s) = %d, want %d", table, got, x.model.Touched[table])
		}
		for _, k := range x.model.Keys(table, "") {
			var rec *kv.Record
			var err error
			if abs := x.m.abs(table, k.Key); residency == kv.Hot {
				rec = x.m.Root().Get(abs)
			} else {
				rec, err = x.m.ColdGet(abs)
			}
			if err != nil || rec == nil || !bytes.Equal(rec.Value, x.model.Rows[k].Value) {
				x.t.Fatalf("get %s %q = %v, %v", table, k.Key, rec, err)
			}
		}
	}
	if got := x.m.Root().Revision(); got != x.model.Rev {
		x.t.Fatalf("Revision() = %d, want %d", got, x.model.Rev)
	}
	leases := 0
	x.m.Root().Scan([]byte{byte(fsm.LeaseTable)}, nil, false, func(r *kv.Record) bool {
		leases++
		id, ttl := fsm.LeaseOf(r)
		if x.model.Leases[id] != ttl {
			x.t.Fatalf("lease %d has %s, want %s", id, ttl, x.model.Leases[id])
		}
		return true
	})
	if leases != len(x.model.Leases) {
		x.t.Fatalf("%d leases, want %d", leases, len(x.model.Leases))
	}
}

// transfer sends a snapshot from one member to another.
func transfer(tb testing.TB, from, to *member) {
	tb.Helper()
	p, err := from.OpenSnapshot(tb.Context())
	if err != nil {
		tb.Fatalf("OpenSnapshot() = %v", err)
	}
	defer func() { _ = p.Close() }()
	var buf bytes.Buffer
	if n, err := p.WriteTo(&buf); err != nil || n != int64(buf.Len()) {
		tb.Fatalf("WriteTo() = %d, %v, want %d", n, err, buf.Len())
	}
	r, err := to.Receive(tb.Context(), &buf)
	if err != nil {
		tb.Fatalf("Receive() = %v", err)
	}
	if err := to.Install(r); err != nil {
		tb.Fatalf("Install() = %v", err)
	}
}
