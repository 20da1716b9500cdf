package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
)

// variants are each kind of op with each flag that it knows, on rows that exist
// and rows that do not.
func variants() []kv.Op {
	const counter = "\x00\x00\x00\x00\x00\x00\x00\x02"
	ops := []kv.Op{
		put(hotTable, "a", "1"), put(hotTable, "new", "1"), put(otherTable, "a", "1"),
		put(coldTable, "a", "1"), put(coldTable, "new", "1"), put(hotTable, "n", counter),
		{Kind: kv.Touch, Table: hotTable, Key: []byte("a")},
		{Kind: kv.Touch, Table: hotTable, Key: []byte("new")},
		del(hotTable, "a"), del(hotTable, "none"), del(coldTable, "a"), del(coldTable, "none"),
		{Kind: kv.DeletePrefix, Table: hotTable, Key: []byte("a")},
		{Kind: kv.DeletePrefix, Table: hotTable},
		{Kind: kv.DeletePrefix, Table: coldTable, Key: []byte("a")},
		{Kind: kv.Add, Table: hotTable, Key: []byte("n"), Delta: 1, Max: 3},
		{Kind: kv.Add, Table: hotTable, Key: []byte("n"), Delta: 2, Max: 3},
		{Kind: kv.Add, Table: hotTable, Key: []byte("n"), Delta: math.MaxInt64, Max: math.MaxInt64},
		{Kind: kv.Add, Table: hotTable, Key: []byte("m"), Delta: -1, Min: -1},
		{Kind: kv.Add, Table: hotTable, Key: []byte("m"), Max: 1},
		{Kind: kv.Add, Table: hotTable, Key: []byte("a"), Delta: 1, Max: 3}, // no counter
		{Kind: kv.Grant, Lease: 1, TTL: time.Hour},
		{Kind: kv.Grant, Lease: 1, TTL: 2 * time.Hour},
		{Kind: kv.Grant, Lease: 2, TTL: time.Hour},
		{Kind: kv.Revoke, Lease: 1},
		{Kind: kv.Revoke, Lease: 2},
	}
	leased := func(o kv.Op, id kv.LeaseID) kv.Op { o.Lease = id; return o }
	ops = append(ops,
		leased(put(hotTable, "a", "1"), 1), leased(put(hotTable, "a", "1"), 2),
		leased(kv.Op{Kind: kv.Touch, Table: hotTable, Key: []byte("a")}, 1),
		kv.Op{Kind: kv.Put, Table: hotTable, Key: []byte("s--------"), Value: []byte("--------"), StampKey: 2, StampValue: 1, Seq: 1},
		kv.Op{Kind: kv.Put, Table: coldTable, Key: []byte("s--------"), Value: []byte("v--------"), StampKey: 2, StampValue: 2, Seq: 2},
	)
	for _, o := range slices.Clip(ops) {
		if o.Kind == kv.Put {
			o.SkipEqual = true
			ops = append(ops, o)
		}
	}
	for _, o := range slices.Clip(ops) {
		o.IfChanged = true
		ops = append(ops, o)
	}
	return ops
}

// testOps runs every variant alone and behind every other (CTR-K05).
func testOps(t *testing.T, h *harness) {
	t.Helper()
	base := []kv.Op{
		{Kind: kv.Grant, Lease: 1, TTL: time.Hour},
		put(hotTable, "a", "1"), put(hotTable, "ab", "1"), put(coldTable, "a", "1"), put(coldTable, "ab", "1"),
		put(hotTable, "n", "\x00\x00\x00\x00\x00\x00\x00\x01"),
		{Kind: kv.Put, Table: otherTable, Key: []byte("leased"), Lease: 1},
	}
	all := variants()
	for i, first := range all {
		m := h.clear(t)
		h.both(t, m, kv.Txn{Then: base})
		h.both(t, m, kv.Txn{Then: []kv.Op{first}})
		if first.IfChanged {
			continue // as the first op it never runs
		}
		for j := range all {
			// Each pair once for sure; the state is what the pairs before left.
			h.both(t, m, kv.Txn{Then: []kv.Op{first, all[(i+j)%len(all)]}})
		}
	}
}

// testModel commits random transactions to the store and to the model.
func testModel(t *testing.T, h *harness) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		tb := trialTB{TB: t, t: rt}
		m := h.clear(tb)
		for range rapid.IntRange(1, 6).Draw(rt, "n") {
			h.both(tb, m, Txns(m).Draw(rt, "txn"))
		}
	})
}

// trialTB fails the trial instead of the test.
type trialTB struct {
	testing.TB
	t *rapid.T
}

// Fatalf fails the trial.
func (r trialTB) Fatalf(format string, args ...any) { r.t.Fatalf(format, args...) }

// testLimits wants ErrTooLarge, and nothing done, beyond the limits (CTR-B10).
func testLimits(t *testing.T, h *harness) {
	t.Helper()
	m := h.clear(t)
	key, value := strings.Repeat("k", kv.MaxKey), strings.Repeat("v", kv.MaxValue)
	many := make([]kv.Op, kv.MaxOps)
	for i := range many {
		many[i] = put(hotTable, fmt.Sprint(i), "")
	}
	for name, tt := range map[string]struct {
		txn  kv.Txn
		want error
	}{
		"longest key":     {kv.Txn{Then: []kv.Op{put(hotTable, key, "")}}, nil},
		"largest value":   {kv.Txn{Then: []kv.Op{put(coldTable, "k", value)}}, nil},
		"most ops":        {kv.Txn{Then: many}, nil},
		"key too long":    {kv.Txn{Then: []kv.Op{put(hotTable, "x", ""), put(hotTable, key+"k", "")}}, kv.ErrTooLarge},
		"value too large": {kv.Txn{Then: []kv.Op{put(hotTable, "x", ""), put(hotTable, "y", value+"v")}}, kv.ErrTooLarge},
		"too many ops":    {kv.Txn{Then: many, Else: many[:1]}, kv.ErrTooLarge},
		"too many bytes":  {kv.Txn{Then: []kv.Op{put(hotTable, "x", value), put(hotTable, "y", value)}}, kv.ErrTooLarge},
		"long compare":    {kv.Txn{If: []kv.Compare{{Table: hotTable, Key: []byte(key + "k"), Target: kv.Modified, Rel: kv.Equal}}}, kv.ErrTooLarge},
	} {
		if tt.want == nil {
			h.both(t, m, tt.txn)
			continue
		}
		if res, err := h.Commit(within(t), tt.txn); !errors.Is(err, tt.want) {
			t.Errorf("Commit(%s) = %+v, %v, want %v", name, res, err, tt.want)
		}
	}
	for name, txn := range map[string]kv.Txn{
		"unknown table":   {Then: []kv.Op{put("nobody's", "k", "")}},
		"unknown compare": {If: []kv.Compare{{Table: "nobody's", Key: []byte("k"), Target: kv.Modified, Rel: kv.Equal}}},
		"empty key":       {Then: []kv.Op{put(hotTable, "x", ""), put(hotTable, "", "")}},
		"unknown kind":    {Then: []kv.Op{put(hotTable, "x", ""), {Table: hotTable, Key: []byte("k")}}},
		"lease 0":         {Then: []kv.Op{put(hotTable, "x", ""), {Kind: kv.Grant, TTL: time.Second}}},
		"cold counter":    {Then: []kv.Op{put(hotTable, "x", ""), {Kind: kv.Add, Table: coldTable, Key: []byte("k"), Delta: 1, Max: 1}}},
	} {
		if res, err := h.Commit(within(t), txn); err == nil {
			t.Errorf("Commit(%s) = %+v, want an error", name, res)
		}
	}
	h.both(t, m, kv.Txn{Then: []kv.Op{del(coldTable, "k")}}) // and nothing of all that happened
	if r, err := h.Get(within(t), hotTable, []byte(key)); err != nil || !bytes.Equal(r.Key, []byte(key)) {
		t.Errorf("Get(longest key) = %v, %v", r, err)
	}
}
