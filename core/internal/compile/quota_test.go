package compile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/txn"
)

func limit(group string, items int64) configstore.Op {
	return configstore.Op{Limit: &configstore.Limit{Scope: configstore.Scope{Namespace: "ns", Group: group}, Items: items}}
}

func remove(name string) configstore.Op {
	return configstore.Op{Remove: &configstore.Remove{Key: item(name)}}
}

// wantCounted compares the counter of a limited scope with the items there are.
func wantCounted(tb rapid.TB, c plugin.Core, group string, items int64) configstore.Usage {
	tb.Helper()
	scope := configstore.Scope{Namespace: "ns", Group: group}
	u, err := c.Configs().Usage(context.Background(), scope)
	if err != nil || u.Items != items {
		tb.Fatalf("Usage(%q) = %+v, %v, want %d items", group, u, err, items)
	}
	return u
}

// CTR-M25: a limit may come, change and go at any time, also in the batch that
// publishes; items count whether or not there was a limit when they came.
func TestLimitsComeAndGo(t *testing.T) {
	_, c := attached(t)
	there := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		var ops []configstore.Op
		next := map[string]bool{}
		for name := range there {
			next[name] = true
		}
		for range rapid.IntRange(1, 4).Draw(rt, "ops") {
			name := rapid.SampledFrom([]string{"a1", "a2", "b1", "b2"}).Draw(rt, "name")
			switch rapid.IntRange(0, 3).Draw(rt, "op") {
			case 0:
				group := rapid.SampledFrom([]string{"", "ga", "gb"}).Draw(rt, "group")
				ops = append(ops, limit(group, rapid.SampledFrom([]int64{-1, 0, 10, 20}).Draw(rt, "items")))
			case 1:
				ops = append(ops, remove(name))
				delete(next, name)
			default:
				ops = append(ops, publish(name, rapid.StringN(0, 3, 3).Draw(rt, "content")))
				next[name] = true
			}
		}
		res, err := c.Txn().Commit(t.Context(), txn.Batch{Configs: ops})
		if err != nil || !res.Committed {
			rt.Fatalf("Commit() = %+v, %v", res, err)
		}
		there = next
		items := map[string]int64{}
		for name := range there {
			items[""]++
			items[item(name).Group]++
		}
		for _, group := range []string{"", "ga", "gb"} {
			wantCounted(rt, c, group, items[group])
		}
	})
}

// A limit that is set while many publish and remove counts all of them once:
// those who looked at the limits before look again.
func TestLimitUnderWrites(t *testing.T) {
	_, c := attached(t)
	const writers, each, change = 16, 40, 20 // a limit changes with every so many writes
	var (
		wg   sync.WaitGroup
		keep [writers]int64
		done = make(chan struct{})
	)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%c%d-%d", 'a'+rune(w%2), w, i)
				commit(t, c, publish(name, "1"))
				if keep[w]++; i%3 == 0 {
					commit(t, c, remove(name))
					keep[w]--
				}
				done <- struct{}{}
			}
		})
	}
	for i := range int64(writers * each) {
		<-done
		if n := i / change; i%change == 0 {
			commit(t, c, limit("", (n%3)*1000))
			commit(t, c, limit("ga", (n%2)*1000))
		}
	}
	wg.Wait()
	items := map[string]int64{}
	for w, n := range keep {
		items[""] += n
		items["g"+string('a'+rune(w%2))] += n
	}
	commit(t, c, limit("gb", 1000)) // counts what came without a limit
	for _, group := range []string{"", "ga", "gb"} {
		if u := wantCounted(t, c, group, items[group]); u.Quota != 1000 {
			t.Errorf("Usage(%q) = %+v, want a limit at the end", group, u)
		}
	}
}

// commit commits one op that must succeed.
func commit(t *testing.T, c plugin.Core, op configstore.Op) {
	t.Helper()
	if _, err := txn.Publish(t.Context(), c.Txn(), auth.Actor{}, op); err != nil {
		t.Errorf("Publish(%+v) = %v", op, err)
	}
}
