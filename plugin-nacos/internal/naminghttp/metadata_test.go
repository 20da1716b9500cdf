package naminghttp

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

func metadata(pairs ...string) (out registry.Pairs) {
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, registry.Pair{Key: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// NAC-QRK-37, NAD-QRK-23: both forms, and what is neither.
func TestParseMetadata(t *testing.T) {
	for text, want := range map[string]registry.Pairs{
		"":                          nil,
		"  ":                        nil,
		"null":                      nil,
		"{}":                        nil,
		"a=1":                       metadata("a", "1"),
		"b=two,a=1":                 metadata("a", "1", "b", "two"),
		"a=1,,b=2,":                 metadata("a", "1", "b", "2"),
		"a=1,a=2":                   metadata("a", "2"),
		`{"b":"2","a":"1"}`:         metadata("a", "1", "b", "2"),
		` {"a":"x=y,z"} `:           metadata("a", "x=y,z"),
		`{"a":1,"b":true,"c":null}`: metadata("a", "1", "b", "true", "c", ""),
		`{"n":1e400}`:               metadata("n", "1e400"),
		`{"a":"1","a":"2"}`:         metadata("a", "2"),
		`{"\u540d":"\ud83d\ude00"}`: metadata("名", "😀"),
		`{"":""}`:                   metadata("", ""),
	} {
		got, err := parseMetadata(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("parseMetadata(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"novalue", "a=b=c", "=v", "k=", "a=1,b", "{bad", `{"a":{}}`, `{"a":[]}`, `{"a":"1"`, `{"a":"1"}x`, "[]", `["a"]`,
		`"a"`, "{'a':1}", strings.Repeat(`{"a":`, 1000),
	} {
		if got, err := parseMetadata(text); !errors.Is(err, &naming.Error{Reason: naming.BadMetadata}) {
			t.Errorf("parseMetadata(%q) = %v, %v, want BadMetadata", text, got, err)
		}
	}
	long := `{"a":"` + strings.Repeat("v", maxJSON) + `"}`
	if _, err := parseMetadata(long); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("parseMetadata() of %d bytes = %v, want ErrTooLarge", len(long), err)
	}
}

// What was read is sorted without equal keys, and survives another round.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{"", "a=1,b=2", "a=b=c", `{"a":"1","b":null}`, `{"a":{"b":1}}`, `{"\u0000":"\ud800"}`, "{", "=,="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // no parameter
		}
		ps, err := parseMetadata(text)
		if err != nil {
			return
		}
		for i := 1; i < len(ps); i++ {
			if ps[i-1].Key >= ps[i].Key {
				t.Fatalf("parseMetadata(%q) = %v, want sorted keys", text, ps)
			}
		}
		b, err := json.Marshal(object(ps))
		if err != nil {
			t.Fatalf("Marshal(%v) = %v", ps, err)
		}
		again, err := parseMetadata(string(b))
		if err != nil || !slices.Equal(again, ps) {
			t.Errorf("round of %q = %v, %v, want %v", text, again, err, ps)
		}
	})
}
