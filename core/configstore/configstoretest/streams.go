package configstoretest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/txn"
)

func setLimit(t *testing.T, b Backend, l configstore.Limit) {
	t.Helper()
	if _, err := txn.Publish(t.Context(), b.Txn(owner), alice, configstore.Op{Limit: &l}); err != nil {
		t.Fatalf("Limit(%+v) = %v", l, err)
	}
}

// CTR-M25: size and number of items, of a namespace and of a group.
func quotas(t *testing.T, b Backend) {
	t.Helper()
	setLimit(t, b, configstore.Limit{Scope: configstore.Scope{Namespace: "ns", Group: "g"}, Items: 2, MaxSize: 10})
	publish(t, b, "a", "1")
	publish(t, b, "b", "1")
	var over *configstore.QuotaError
	if _, err := try(b, owner, &configstore.Publish{Key: key("c"), Content: []byte("1")}); !errors.As(err, &over) || over.What != "items" || over.Limit != 2 {
		t.Errorf("third Publish() = %v, want *QuotaError of items", err)
	}
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte("12345678901")}); !errors.As(err, &over) || over.What != "size" {
		t.Errorf("large Publish() = %v, want *QuotaError of size", err)
	}
	publish(t, b, "a", "2") // an update counts nothing
	remove(t, b, configstore.Remove{Key: key("b")})
	publish(t, b, "c", "1")
	u, err := b.Configs.Usage(t.Context(), configstore.Scope{Namespace: "ns", Group: "g"})
	if err != nil || u.Items != 2 || u.Quota != 2 || u.MaxSize != 10 {
		t.Errorf("Usage() = %+v, %v, want 2 of 2 items", u, err)
	}
	if u, err = b.Configs.Usage(t.Context(), configstore.Scope{Namespace: "ns"}); err != nil || u.Items != 2 {
		t.Errorf("Usage() of the namespace = %+v, %v, want 2 items", u, err)
	}
}

func quotaContention(t *testing.T, b Backend) {
	t.Helper()
	const limit = 20
	setLimit(t, b, configstore.Limit{Scope: configstore.Scope{Namespace: "ns"}, Items: limit})
	var (
		wg sync.WaitGroup
		ok atomic.Int64
	)
	for w := range 64 {
		wg.Go(func() {
			_, err := try(b, owner, &configstore.Publish{Key: key(fmt.Sprint(w)), Content: []byte("x")})
			var over *configstore.QuotaError
			switch {
			case err == nil:
				ok.Add(1)
			case !errors.As(err, &over):
				t.Errorf("Publish() = %v, want *QuotaError", err)
			}
		})
	}
	wg.Wait()
	page, err := b.Configs.Search(t.Context(), configstore.Query{Namespace: "ns", CountTotal: true})
	if err != nil || ok.Load() != limit || page.Total != limit {
		t.Errorf("%d publishes succeeded and %d items exist, %v, want %d", ok.Load(), page.Total, err, limit)
	}
}

func search(t *testing.T, b Backend) {
	t.Helper()
	app := "shop"
	for i := range 25 {
		p := &configstore.Publish{Key: key(fmt.Sprintf("app-%02d", i)), Content: fmt.Appendf(nil, "text %d", i), Type: "text"}
		if i%5 == 0 {
			p.Tags, p.SetTags, p.Type, p.App = []string{"five", fmt.Sprint(i)}, true, "yaml", &app
		}
		if _, err := try(b, owner, p); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		q    configstore.Query
		want int
	}{
		"all":             {configstore.Query{Namespace: "ns"}, 25},
		"other namespace": {configstore.Query{Namespace: "n"}, 0},
		"every namespace": {configstore.Query{AllSpaces: true}, 25},
		"prefix":          {configstore.Query{Namespace: "ns", Name: "app-1*"}, 10},
		"suffix":          {configstore.Query{Namespace: "ns", Name: "*4"}, 3},
		"middle":          {configstore.Query{Namespace: "ns", Name: "a*-*0"}, 3},
		"exact":           {configstore.Query{Namespace: "ns", Group: "g", Name: "app-07"}, 1},
		"other group":     {configstore.Query{Namespace: "ns", Group: "x*"}, 0},
		"tag":             {configstore.Query{Namespace: "ns", Tags: []string{"5", "10"}}, 2},
		"all tags":        {configstore.Query{Namespace: "ns", Tags: []string{"five", "10"}, AllTags: true}, 1},
		"type":            {configstore.Query{Namespace: "ns", Types: []string{"yaml"}}, 5},
		"app":             {configstore.Query{Namespace: "ns", App: app}, 5},
		"text":            {configstore.Query{Namespace: "ns", Text: "text 1"}, 11},
	}
	for name, tt := range tests {
		tt.q.CountTotal = true
		page, err := b.Configs.Search(t.Context(), tt.q)
		if err != nil || page.Total != tt.want || len(page.Heads) != tt.want {
			t.Errorf("Search(%s) = %d of %d, %v, want %d", name, len(page.Heads), page.Total, err, tt.want)
		}
	}
	var names []string
	q := configstore.Query{Namespace: "ns", Limit: 10}
	for {
		page, err := b.Configs.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Heads {
			names = append(names, h.Key.Name)
		}
		if page.Next == nil {
			break
		}
		q.From = *page.Next
	}
	if len(names) != 25 || !slices.IsSorted(names) {
		t.Errorf("pages hold %d names %v, want 25 in order", len(names), names)
	}
}

// CTR-C03: changes in order, whole revisions, with what moved.
func watch(t *testing.T, b Backend) {
	t.Helper()
	publish(t, b, "before", "x")
	s, err := b.Configs.Watch(t.Context(), configstore.Query{Namespace: "ns"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mark, err := s.Next(t.Context())
	if err != nil || len(mark.Changes) != 0 || mark.Revision == 0 {
		t.Fatalf("first Next() = %+v, %v, want a mark", mark, err)
	}
	publish(t, b, "a", "one")
	publish(t, b, "a", "two")
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Variant: "v", Rule: rule(1, "ip", "1"), Content: []byte("var")}); err != nil {
		t.Fatal(err)
	}
	remove(t, b, configstore.Remove{Key: key("a")})
	want := []configstore.Change{{Created: true, Formal: true}, {Formal: true}, {Variants: []string{"v"}}, {Formal: true, Variants: []string{"v"}}}
	var got []configstore.Change
	for len(got) < len(want) {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, batch.Changes...)
	}
	for i, c := range got {
		w := want[i]
		if c.Key != key("a") || c.Created != w.Created || c.Formal != w.Formal || !slices.Equal(c.Variants, w.Variants) || (c.Head == nil) != (i == 3) {
			t.Errorf("change %d = %+v, want %+v", i, c, w)
		}
	}
	resumed, err := b.Configs.Watch(t.Context(), configstore.Query{Namespace: "ns"}, mark.Revision)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := resumed.Next(t.Context())
	if err != nil || len(batch.Changes) != 4 {
		t.Errorf("Next() after %d = %d changes, %v, want the four again", mark.Revision, len(batch.Changes), err)
	}
	if err := resumed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := resumed.Next(t.Context()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() after Close = %v, want kv.ErrClosed", err)
	}
}

// CTR-C03, NAC-CFG-64: a read that an event caused sees what the event told of.
func watchGet(t *testing.T, b Backend) {
	t.Helper()
	publish(t, b, "a", "0")
	wantContent(t, b, "a", nil, "0")
	s, err := b.Configs.Watch(t.Context(), configstore.Query{Namespace: "ns"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const last = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; i <= last; i++ {
			if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Content: []byte(fmt.Sprint(i))}); err != nil {
				t.Errorf("Publish() = %v", err)
			}
		}
	}()
	for seen := 0; seen < last; {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range batch.Changes {
			item, err := b.Configs.Get(t.Context(), c.Key, nil)
			if err != nil || item.Head.Revision < c.Head.Revision {
				t.Fatalf("Get() after the event at %d = %+v, %v, want that or newer", c.Head.Revision, item, err)
			}
			if _, err := fmt.Sscan(string(item.Content), &seen); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-done
}

func restart(t *testing.T, b Backend) {
	t.Helper()
	if b.Restart == nil {
		t.Skip("this backend cannot be restarted")
	}
	first := publish(t, b, "a", "one")
	publish(t, b, "a", "two")
	if _, err := try(b, owner, &configstore.Publish{Key: key("a"), Variant: "v", Rule: rule(1, "ip", "1"), Content: []byte("var")}); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "gone", "x")
	remove(t, b, configstore.Remove{Key: key("gone")})
	before := head(t, b, "a")
	b = b.Restart(t)
	wantContent(t, b, "a", nil, "two")
	wantContent(t, b, "a", labels("ip", "1"), "var")
	after := head(t, b, "a")
	if after.Revision != before.Revision || after.Version != before.Version || after.Modified != before.Modified || len(after.Variants) != 1 {
		t.Errorf("head after the restart = %+v, want %+v", after, before)
	}
	if h := head(t, b, "gone"); h != nil {
		t.Errorf("removed item after the restart = %+v", h)
	}
	if item, err := b.Configs.At(t.Context(), key("a"), first.Version); err != nil || string(item.Content) != "one" {
		t.Errorf("At(first) = %v, %v, want one", item, err)
	}
}
