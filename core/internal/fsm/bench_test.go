package fsm

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// publishTxn is what a config publish compiles to: one hot row of 300 bytes, one
// cold row of 400, one counter.
func publishTxn(i int) *Txn {
	return &Txn{
		Guards: []kv.Compare{{Key: hot(fmt.Sprintf("head/%08d", i)), Target: kv.Modified, Rel: kv.AtLeast}},
		Then: []kv.Op{
			{Kind: kv.Put, Key: hot(fmt.Sprintf("head/%08d", i)), Value: make([]byte, 300)},
			{Kind: kv.Put, Key: cold(fmt.Sprintf("version/%08d/########", i)), Value: make([]byte, 400), StampKey: int32(KeyOffset(coldTable)) + 18},
			{Kind: kv.Add, Key: hot("quota"), Delta: 1, Max: 1 << 40},
		},
	}
}

func BenchmarkApply(b *testing.B) {
	m := testMachine(b)
	for i := range 100_000 {
		must(b, m, put(fmt.Sprintf("head/%08d", i), "x"))
	}
	var txns []*Txn
	for i := range 4096 {
		txns = append(txns, publishTxn(i*24))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Forget()
		if out, err := m.Apply(&Command{Txn: txns[i%len(txns)]}); err != nil || out.Err != nil {
			b.Fatal(out, err)
		}
		i++
		if i%16 == 0 {
			m.HotRows()
			m.ColdRows()
		}
		if i%10_000 == 0 {
			m.Rotate()
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	entry := AppendCommand(AppendHeader(nil), &Command{ID: binary.BigEndian.Uint64([]byte("12345678")), Txn: publishTxn(7)})
	var d Decoder
	b.ReportAllocs()
	b.SetBytes(int64(len(entry)))
	for b.Loop() {
		if err := d.Reset(entry); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
