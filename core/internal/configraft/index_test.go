package configraft

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
)

// The index is a map, also where tags and places collide.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		want := map[string]*kv.Record{}
		tags := rapid.IntRange(1, 40).Draw(t, "tags") // few: they collide
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.IntRange(0, 60).Draw(t, "key")
			k := fmt.Sprint(n)
			tag := uint32(n%tags)*7 + 1
			if rapid.Bool().Draw(t, "drop") {
				if got := x.drop(tag, []byte(k)); got != want[k] {
					t.Fatalf("drop(%s) = %p, want %p", k, got, want[k])
				}
				delete(want, k)
			} else {
				h := &kv.Record{Key: []byte(k)}
				if got := x.put(tag, h); got != want[k] {
					t.Fatalf("put(%s) = %p, want %p", k, got, want[k])
				}
				want[k] = h
			}
			for n := range 61 {
				k := fmt.Sprint(n)
				if got := x.get(uint32(n%tags)*7+1, []byte(k)); got != want[k] {
					t.Fatalf("get(%s) = %p, want %p", k, got, want[k])
				}
			}
			if x.count != len(want) {
				t.Fatalf("count = %d, want %d", x.count, len(want))
			}
		}
	})
}
