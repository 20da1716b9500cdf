package kvtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// testViews wants pinned, consistent cuts (CTR-K02, CTR-K03, CTR-B07, CTR-B09).
func testViews(t *testing.T, h *harness) {
	t.Helper()
	if _, err := h.Get(within(t), hotTable, []byte("a")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(absent) = %v, want %v", err, kv.ErrNotFound)
	}
	if _, err := h.Get(within(t), "nobody's", []byte("a")); err == nil || errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get(unknown table) = %v, want another error", err)
	}
	before := h.view(t)
	first := h.must(t, put(hotTable, "a", "1"), put(coldTable, "c", "1"))
	pinned := h.view(t)
	second := h.must(t, put(hotTable, "a", "2"), del(hotTable, "none"))
	h.must(t, put(otherTable, "b", "1"))
	if first.Revision != before.Revision()+1 || second.Revision != first.Revision+1 || pinned.Revision() != first.Revision {
		t.Errorf("revisions %d, %d, %d, view at %d", before.Revision(), first.Revision, second.Revision, pinned.Revision())
	}
	if _, err := before.Get(within(t), hotTable, []byte("a")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get() of an older view = %v, want %v", err, kv.ErrNotFound)
	}
	if r, err := pinned.Get(within(t), hotTable, []byte("a")); err != nil || string(r.Value) != "1" {
		t.Errorf("Get() of a pinned view = %v, %v, want 1", r, err)
	}
	if r, err := h.Get(within(t), hotTable, []byte("a")); err != nil || string(r.Value) != "2" || r.Version != 2 ||
		r.Created != first.Revision || r.Modified != second.Revision {
		t.Errorf("Get() = %+v, %v", r, err)
	}
	if r, err := h.Get(within(t), coldTable, []byte("c")); err != nil || string(r.Value) != "1" || r.Version != 0 {
		t.Errorf("Get(cold) = %+v, %v", r, err)
	}
	now := h.view(t)
	if got, err := now.Changed(within(t), hotTable); err != nil || got != second.Revision {
		t.Errorf("Changed() = %d, %v, want %d", got, err, second.Revision)
	}
	for _, c := range []kv.Consistency{kv.Local, kv.Fresh, kv.Linearizable} {
		v, err := h.View(within(t), c)
		if err != nil || v.Revision() != now.Revision() {
			t.Fatalf("View(%d) = %v, %v", c, v, err)
		}
		got := v.Consistency()
		if got < kv.Local || got > kv.Linearizable || c == kv.Linearizable && got != c || c == kv.Local && got != c {
			t.Errorf("View(%d) is %d", c, got)
		}
	}
}

// testRanges pages through hot and cold tables, both ways.
func testRanges(t *testing.T, h *harness) {
	t.Helper()
	all := []string{"a", "a\xff", "a\xff\xff", "b", "ba", "bb", "bbb", "\xff", "\xff\xff"}
	last := kv.Revision(0)
	for _, table := range []string{hotTable, coldTable} {
		for _, k := range slices.Backward(all) {
			last = h.must(t, put(table, k, "v")).Revision
		}
		v := h.view(t)
		for name, tt := range map[string]struct {
			r    kv.Range
			want []string
		}{
			"all":                {kv.Range{}, all},
			"prefix":             {kv.Range{Prefix: []byte("b")}, all[3:7]},
			"prefix of no row":   {kv.Range{Prefix: []byte("c")}, nil},
			"prefix 0xff":        {kv.Range{Prefix: []byte("\xff")}, all[7:]},
			"from":               {kv.Range{Prefix: []byte("b"), From: []byte("ba")}, all[4:7]},
			"from between":       {kv.Range{Prefix: []byte("b"), From: []byte("baa")}, all[5:7]},
			"from before":        {kv.Range{Prefix: []byte("b"), From: []byte("a")}, all[3:7]},
			"from behind":        {kv.Range{Prefix: []byte("b"), From: []byte("c")}, nil},
			"down":               {kv.Range{Descending: true}, all},
			"down prefix":        {kv.Range{Prefix: []byte("a"), Descending: true}, all[:3]},
			"down prefix 0xff":   {kv.Range{Prefix: []byte("\xff"), Descending: true}, all[7:]},
			"down from":          {kv.Range{Prefix: []byte("b"), From: []byte("bb"), Descending: true}, all[3:6]},
			"down from between":  {kv.Range{Prefix: []byte("b"), From: []byte("baa"), Descending: true}, all[3:5]},
			"down from behind":   {kv.Range{Prefix: []byte("b"), From: []byte("z"), Descending: true}, all[3:7]},
			"down from in front": {kv.Range{Prefix: []byte("b"), From: []byte("a"), Descending: true}, nil},
		} {
			want := slices.Clone(tt.want)
			if tt.r.Descending {
				slices.Reverse(want)
			}
			for limit := range 4 { // 0: everything at once
				r := tt.r
				r.Table, r.Limit, r.KeysOnly = table, limit, limit == 2
				if got := pages(t, v, r); !slices.Equal(got, want) {
					t.Errorf("Range(%s %s by %d) = %q, want %q", table, name, limit, got, want)
				}
			}
		}
		p, err := v.Range(within(t), kv.Range{Table: table, Prefix: []byte("b"), Limit: 2})
		if want := last - 3; err != nil || p.Newest != want {
			t.Errorf("Newest = %d, %v, want %d: the first row of two was written last", p.Newest, err, want)
		}
	}
	if _, err := h.view(t).Range(within(t), kv.Range{Table: "nobody's"}); err == nil {
		t.Error("Range(unknown table) = nil")
	}
}

// pages reads all pages and wants every one but the last to be full.
func pages(t *testing.T, v kv.View, r kv.Range) (keys []string) {
	t.Helper()
	for {
		p, err := v.Range(within(t), r)
		if err != nil || r.Limit > 0 && (len(p.Records) > r.Limit || p.Next != nil && len(p.Records) != r.Limit) {
			t.Fatalf("Range(%+v) = %d rows, next %q, %v", r, len(p.Records), p.Next, err)
		}
		for _, rec := range p.Records {
			keys = append(keys, string(rec.Key))
			if r.KeysOnly != (rec.Value == nil) {
				t.Fatalf("Range(%+v) has value %q", r, rec.Value)
			}
		}
		if p.Next == nil {
			return keys
		}
		r.From = p.Next
	}
}

// testNewest wants Newest to see rows that appeared since a range was read
// (CTR-K04).
func testNewest(t *testing.T, h *harness) {
	t.Helper()
	h.must(t, put(hotTable, "p/1", ""), put(hotTable, "q", ""))
	h.must(t, put(hotTable, "p/2", ""))
	p, err := h.view(t).Range(within(t), kv.Range{Table: hotTable, Prefix: []byte("p/")})
	if err != nil {
		t.Fatal(err)
	}
	unchanged := kv.Txn{
		If:   []kv.Compare{{Table: hotTable, Key: []byte("p/"), Target: kv.Newest, Rel: kv.AtMost, Num: uint64(p.Newest)}},
		Then: []kv.Op{put(otherTable, "done", "")},
	}
	h.must(t, put(hotTable, "q", "2")) // elsewhere
	if res, err := h.Commit(within(t), unchanged); err != nil || !res.Committed {
		t.Errorf("Commit() = %+v, %v, want committed", res, err)
	}
	at := h.must(t, put(hotTable, "p/3", "")).Revision
	res, err := h.Commit(within(t), unchanged)
	if err != nil || res.Committed || !slices.Equal(res.Failed, []int{0}) || res.Revision != at {
		t.Errorf("Commit() = %+v, %v, want refused at %d", res, err, at)
	}
}

// testStamps wants stamps of 64 writers to be unique and ordered by commit
// (CTR-D04).
func testStamps(t *testing.T, h *harness) {
	t.Helper()
	const writers, each = 64, 8
	var mu sync.Mutex // guards seen
	seen := map[kv.Stamp]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := kv.Stamp(0)
			for i := range each {
				value := fmt.Appendf(nil, "%04d/%04d/--------", w, i)
				res, err := h.Commit(t.Context(), kv.Txn{Then: []kv.Op{
					{Kind: kv.Put, Table: hotTable, Key: []byte("--------"), Value: value, StampKey: 1, StampValue: 11, Seq: 1},
					{Kind: kv.Put, Table: hotTable, Key: []byte("--------"), Value: value, StampKey: 1, StampValue: 11, Seq: 2},
				}})
				if err != nil || !res.Committed {
					t.Errorf("Commit() = %+v, %v", res, err)
					return
				}
				one, two := kv.NewStamp(res.Revision, 1), kv.NewStamp(res.Revision, 2)
				mu.Lock()
				if seen[one] || one <= last {
					t.Errorf("stamp %d after %d, seen before: %v", one, last, seen[one])
				}
				seen[one], seen[two] = true, true
				mu.Unlock()
				last = two
			}
		})
	}
	wg.Wait()
	p, err := h.view(t).Range(within(t), kv.Range{Table: hotTable, Limit: kv.MaxPage})
	if err != nil || len(p.Records) != 2*writers*each {
		t.Fatalf("Range() = %d rows, %v, want %d", len(p.Records), err, 2*writers*each)
	}
	for _, r := range p.Records {
		stamp := kv.Stamp(binary.BigEndian.Uint64(r.Key))
		if !seen[stamp] || stamp.Revision() != r.Modified || kv.Stamp(binary.BigEndian.Uint64(r.Value[10:])) != stamp {
			t.Errorf("row %x=%x of revision %d", r.Key, r.Value, r.Modified)
		}
	}
}
