package store

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// configPublish is what a config publish compiles to: a hot head of 300 bytes, a cold
// version of 400 and a counter.
func (m *member) configPublish(i int) fsm.Command {
	return fsm.Command{ID: uint64(i), Txn: m.absolute(kv.Txn{
		If: []kv.Compare{{Table: "hot", Key: fmt.Appendf(nil, "head/%08d", i), Target: kv.Modified, Rel: kv.AtLeast}},
		Then: []kv.Op{
			{Kind: kv.Put, Table: "hot", Key: fmt.Appendf(nil, "head/%08d", i), Value: make([]byte, 300)},
			{Kind: kv.Put, Table: "cold", Key: fmt.Appendf(nil, "version/%08d/########", i), Value: make([]byte, 400), StampKey: 18},
			{Kind: kv.Add, Table: "other", Key: []byte("quota"), Delta: 1, Max: 1 << 40},
		},
	})}
}

// fill writes n heads.
func (m *member) fill(tb testing.TB, n int) {
	tb.Helper()
	for i := 0; i < n; i += 100 {
		var ops []kv.Op
		for j := range min(100, n-i) {
			ops = append(ops, kv.Op{Kind: kv.Put, Table: "hot", Key: fmt.Appendf(nil, "head/%08d", i+j), Value: make([]byte, 300)})
		}
		m.must(tb, ops...)
	}
	m.flush(tb)
	for i := range m.log {
		m.log[i].Data = nil
	}
}

// BenchmarkApply costs one transaction in batches of so many entries, on 100,000
// rows, the persister at work beside it.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			m := newMember(b, Options{Dir: b.TempDir()})
			m.fill(b, 100_000)
			var entries [][]byte
			for i := range 8192 {
				c := m.configPublish(i * 12)
				entries = append(entries, fsm.AppendCommand(fsm.AppendHeader(nil), &c))
			}
			index, _ := m.Applied()
			batch := make([]Committed, 0, size)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				index++
				batch = append(batch, Committed{Index: index, Term: 1, Data: entries[n%len(entries)]})
				if n++; len(batch) == size {
					if _, err := m.Apply(batch); err != nil {
						b.Fatal(err)
					}
					batch = batch[:0]
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	m := newMember(b, Options{Dir: b.TempDir()})
	m.fill(b, 100_000)
	m.must(b, put("cold", "mem", "x"))
	b.Run("hot", func(b *testing.B) {
		key := m.abs("hot", "head/00054321")
		b.ReportAllocs()
		for b.Loop() {
			if m.Root().Get(key) == nil {
				b.Fatal("absent")
			}
		}
	})
	m.flush(b)
	b.Run("cold", func(b *testing.B) {
		key := m.abs("cold", "mem")
		b.ReportAllocs()
		for b.Loop() {
			if r, err := m.ColdGet(key); r == nil || err != nil {
				b.Fatal(r, err)
			}
		}
	})
}

// BenchmarkPersist applies publishes and waits until state.db holds them, on a
// file that has rows already; rows/s counts what reaches the disk.
func BenchmarkPersist(b *testing.B) {
	for _, rows := range []int{0, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			m := newMember(b, Options{Dir: b.TempDir()})
			m.fill(b, rows)
			index, _ := m.Applied()
			n := 0
			for b.Loop() {
				c := m.configPublish(n * 7919 % max(rows, 100_000))
				index++
				n++
				if _, err := m.Apply([]Committed{{Index: index, Term: 1, Data: fsm.AppendCommand(fsm.AppendHeader(nil), &c)}}); err != nil {
					b.Fatal(err)
				}
			}
			m.flush(b)
			b.ReportMetric(2*float64(n)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "publishes/s")
		})
	}
}
