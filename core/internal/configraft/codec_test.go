package configraft

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

var testKey = configstore.Key{Namespace: "ns", Group: "g\x00", Name: "app.yml"}

func fullRule() configstore.Rule {
	return configstore.Rule{
		Type: "tagv2", Version: "1.0", Expr: "a=b", Priority: -3,
		Any: []configstore.Clause{
			{Label: "ip", Values: []string{"10.0.0.1", ""}, Nets: []string{"10.0.0.0/8"}, Percent: 100},
			{And: []configstore.Clause{{Label: "tag", Values: []string{"x"}}, {And: []configstore.Clause{{Percent: 1}}}}},
			{}, // matches everybody
		},
	}
}

func fullHead() *configstore.Head {
	return &configstore.Head{
		Digest: configstore.Digest{1, 15: 2}, Size: 10 << 20, ReadOnly: true, Formal: true, Type: "yaml",
		Tags: []string{"b", "a", ""}, App: "app", Desc: "密", Cipher: "c", Owner: "o", Creator: "alice", Source: "10.0.0.1",
		Created: 1_700_000_000_000, Modified: -1, Version: kv.NewStamp(77, 5),
		Ext: []registry.Ext{{Owner: "one", Data: []byte{0, 255}}, {Owner: "two", Data: []byte{}}},
	}
}

func fullVariant() *configstore.Variant {
	return &configstore.Variant{
		Name: "beta", Rule: fullRule(), Digest: configstore.Digest{9}, Size: 5, Version: kv.NewStamp(3, 1),
		Type: "text", Cipher: "c", Actor: "bob", Modified: 12,
	}
}

// Everything that a row holds comes back as it was.
func TestHeadCodec(t *testing.T) {
	for name, want := range map[string]*configstore.Head{"zero": {}, "full": fullHead()} {
		got, err := decodeHead(AppendHead(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("decodeHead(%s) = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// CloneHead forgets nothing; a field that is added to Head must be added there.
func TestCloneHead(t *testing.T) {
	h := fullHead()
	h.Key, h.Revision, h.Variants = testKey, 9, []*configstore.Variant{fullVariant()}
	h.Memo.Store(1, []byte("x"))
	c := CloneHead(h)
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Memo" && v.Field(i).IsZero() {
			t.Errorf("CloneHead().%s = zero, want that of the original", name)
		}
	}
	if c.Memo.Load(1) != nil {
		t.Error("CloneHead().Memo holds a form of the original")
	}
}

func TestVariantCodec(t *testing.T) {
	for name, want := range map[string]*configstore.Variant{"zero": {Name: "z"}, "full": fullVariant()} {
		got, err := decodeVariant(want.Name, AppendVariant(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("decodeVariant(%s) = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestVersionCodec(t *testing.T) {
	rule, blank := fullRule(), configstore.Rule{}
	full := configstore.Entry{
		Key: testKey, Version: kv.NewStamp(12, 3), Previous: kv.NewStamp(11, 0), Kind: "update", Variant: "beta",
		Digest: configstore.Digest{4}, Size: 3, Type: "text", App: "app", Cipher: "c", Actor: "alice", Source: "::1", At: 99,
		Meta: configstore.Pairs{{Key: "a", Value: ""}, {Key: "b", Value: "c"}}, Rule: &rule,
	}
	for name, tt := range map[string]struct {
		entry   configstore.Entry
		tags    []string
		content string
	}{
		"zero":       {configstore.Entry{Key: testKey}, nil, ""},
		"blank rule": {configstore.Entry{Key: testKey, Rule: &blank}, nil, ""},
		"full":       {full, []string{"t", ""}, "a\x00b"},
	} {
		key := VersionKey(nil, tt.entry.Key, tt.entry.Version)
		if got := binary.BigEndian.Uint64(key[len(key)-StampSize:]); got != uint64(tt.entry.Version) {
			t.Errorf("VersionKey(%s) ends with %d, want the stamp %d", name, got, tt.entry.Version)
		}
		got, err := decodeVersion(key, AppendVersion(nil, &tt.entry, name, tt.tags, []byte(tt.content)))
		if err != nil || !reflect.DeepEqual(got.Entry, tt.entry) || got.desc != name || string(got.content) != tt.content ||
			strings.Join(got.tags, ",") != strings.Join(tt.tags, ",") {
			t.Errorf("decodeVersion(%s) = %+v, %v, want %+v", name, got, err, tt)
		}
	}
}

// ARC-S12: rows of another format, and damaged ones, are errors.
func TestCodecRefuses(t *testing.T) {
	deep := configstore.Clause{Label: "x"}
	for range maxNesting + 1 {
		deep = configstore.Clause{And: []configstore.Clause{deep}}
	}
	ok := AppendHead(nil, &configstore.Head{})
	for name, err := range map[string]error{
		"empty":         second(decodeHead(nil)),
		"other format":  second(decodeHead(append([]byte{2}, ok[1:]...))),
		"cut":           second(decodeHead(ok[:len(ok)-1])),
		"short digest":  second(decodeHead(append(bytes.Clone(ok[:rowHeader]), 1<<3|2, 1, 0))),
		"fixed32 field": second(decodeHead(append(bytes.Clone(ok[:rowHeader]), 1<<3|5, 0, 0, 0, 0))),
		"nested rule":   second(decodeVariant("v", AppendVariant(nil, &configstore.Variant{Rule: configstore.Rule{Any: []configstore.Clause{deep}}}))),
		"key of no row": second(decodeVersion([]byte("x"), ok)),
		"key cut":       second(decodeVersion(ItemKey(nil, testKey), ok)),
	} {
		if err == nil {
			t.Errorf("decode(%s) = nil error", name)
		}
	}
	// What a later build adds is passed over.
	if _, err := decodeHead(append(bytes.Clone(ok), 100<<3&0x7f|0x80, 100>>4, 5)); err != nil {
		t.Errorf("decode(unknown field) = %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// STY-67: no bytes break the decoders, and what they accept survives another
// round.
func FuzzHead(f *testing.F) {
	f.Add(AppendHead(nil, &configstore.Head{}))
	f.Add(AppendHead(nil, fullHead()))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err != nil {
			return
		}
		again, err := decodeHead(AppendHead(nil, h))
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("decodeHead(%x) = %+v, then %+v, %v", b, h, again, err)
		}
	})
}

func FuzzVariant(f *testing.F) {
	f.Add(AppendVariant(nil, &configstore.Variant{}))
	f.Add(AppendVariant(nil, fullVariant()))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeVariant("v", b)
		if err != nil {
			return
		}
		again, err := decodeVariant("v", AppendVariant(nil, v))
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("decodeVariant(%x) = %+v, then %+v, %v", b, v, again, err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	rule := fullRule()
	key := VersionKey(nil, testKey, kv.NewStamp(5, 1))
	f.Add(key, AppendVersion(nil, &configstore.Entry{Kind: "create", Rule: &rule}, "d", []string{"t"}, []byte("content")))
	f.Add([]byte{}, []byte{rowFormat})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		v, err := decodeVersion(key, value)
		if err != nil {
			return
		}
		key = VersionKey(nil, v.Key, v.Version)
		again, err := decodeVersion(key, AppendVersion(nil, &v.Entry, v.desc, v.tags, v.content))
		if err != nil || !reflect.DeepEqual(again.Entry, v.Entry) || !bytes.Equal(again.content, v.content) {
			t.Errorf("decodeVersion(%x, %x) = %+v, then %+v, %v", key, value, v, again, err)
		}
	})
}
