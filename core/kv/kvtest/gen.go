package kvtest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
)

// The tables that the suite needs.
const (
	hotTable   = "hot"
	otherTable = "other"
	coldTable  = "cold"
)

// Tables are the tables that a store under test has to declare.
func Tables() []kv.TableSpec {
	return []kv.TableSpec{
		{Name: hotTable, Residency: kv.Hot},
		{Name: otherTable, Residency: kv.Hot},
		{Name: coldTable, Residency: kv.Cold},
	}
}

// Txns draws valid transactions on Tables with few keys and values, so that they
// meet. The compares of an m that is not nil hold more often than not.
func Txns(m *Model) *rapid.Generator[kv.Txn] {
	return rapid.Custom(func(t *rapid.T) kv.Txn {
		return kv.Txn{
			If:   rapid.SliceOfN(compares(m), 0, 2).Draw(t, "if"),
			Then: rapid.SliceOfN(ops(), 0, 5).Draw(t, "then"),
			Else: rapid.SliceOfN(ops(), 0, 2).Draw(t, "else"),
		}
	})
}

func keys() *rapid.Generator[[]byte] {
	return rapid.Map(rapid.SampledFrom([]string{"a", "aa", "ab", "b", "b\x00", "b\xff", "\xff", "\xff\xff"}),
		func(s string) []byte { return []byte(s) })
}

func values() *rapid.Generator[[]byte] {
	return rapid.Map(rapid.SampledFrom([]string{"", "x", "y", "longer than eight bytes", "\x00\x00\x00\x00\x00\x00\x00\x02"}),
		func(s string) []byte { return []byte(s) })
}

func compares(m *Model) *rapid.Generator[kv.Compare] {
	return rapid.Custom(func(t *rapid.T) kv.Compare {
		c := kv.Compare{
			Table:  rapid.SampledFrom([]string{hotTable, hotTable, otherTable, coldTable}).Draw(t, "table"),
			Key:    keys().Draw(t, "key"),
			Target: rapid.SampledFrom([]kv.Target{kv.Modified, kv.Value, kv.Created, kv.Lease, kv.Newest}).Draw(t, "target"),
			Rel:    rapid.SampledFrom([]kv.Relation{kv.Equal, kv.NotEqual, kv.AtMost, kv.AtLeast}).Draw(t, "rel"),
			Num:    rapid.Uint64Range(0, 12).Draw(t, "num"),
			Bytes:  values().Draw(t, "bytes"),
		}
		if c.Table == coldTable && c.Target != kv.Value {
			c.Target = kv.Modified
		}
		if m != nil && c.Target == kv.Modified && rapid.Bool().Draw(t, "true") {
			c.Rel, c.Num = kv.Equal, uint64(m.Rows[RowKey{c.Table, string(c.Key)}].Modified)
		}
		return c
	})
}

func ops() *rapid.Generator[kv.Op] {
	return rapid.Custom(func(t *rapid.T) kv.Op {
		o := kv.Op{
			Table: rapid.SampledFrom([]string{hotTable, hotTable, otherTable, coldTable}).Draw(t, "table"),
			Kind: rapid.SampledFrom([]kv.Kind{
				kv.Put, kv.Put, kv.Put, kv.Touch, kv.Delete, kv.DeletePrefix, kv.Add, kv.Grant, kv.Revoke,
			}).Draw(t, "kind"),
			IfChanged: rapid.IntRange(0, 3).Draw(t, "if changed") == 0,
			Seq:       rapid.Uint16Range(0, 3).Draw(t, "seq"),
		}
		if o.Kind == kv.Grant || o.Kind == kv.Revoke {
			o.Table, o.Lease = "", leases().Draw(t, "lease")
			o.TTL = time.Duration(rapid.IntRange(1, 2).Draw(t, "ttl")) * time.Minute
			return o
		}
		if o.Table == coldTable && (o.Kind == kv.Touch || o.Kind == kv.Add) {
			o.Kind = kv.Put
		}
		o.Key = keys().Draw(t, "key")
		if o.Kind == kv.Add {
			o.Delta, o.Min, o.Max = rapid.Int64Range(-2, 2).Draw(t, "delta"), -3, 3
		}
		if o.Kind == kv.Put {
			drawPut(t, &o)
		}
		if (o.Kind == kv.Put || o.Kind == kv.Touch) && o.Table != coldTable && rapid.IntRange(0, 3).Draw(t, "leased") == 0 {
			o.Lease = leases().Draw(t, "lease")
		}
		return o
	})
}

func drawPut(t *rapid.T, o *kv.Op) {
	o.Value = values().Draw(t, "value")
	o.SkipEqual = rapid.Bool().Draw(t, "skip equal")
	switch rapid.IntRange(0, 9).Draw(t, "stamp") {
	case 0:
		o.StampKey = int32(len(o.Key) + 1)
		o.Key = fmt.Appendf(o.Key, "%8d", 0)
	case 1:
		o.StampValue = int32(len(o.Value) + 1)
		o.Value = fmt.Appendf(o.Value, "%8d", 0)
	}
}

func leases() *rapid.Generator[kv.LeaseID] {
	return rapid.Map(rapid.IntRange(1, 2), func(i int) kv.LeaseID { return kv.LeaseID(i) })
}
