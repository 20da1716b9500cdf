package catalog

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

func TestRowKeys(t *testing.T) {
	k := registry.InstanceKey{
		Publisher: registry.PublisherKey{Owner: "o", Scope: "s\x00c"}, Service: registry.ServiceKey{Namespace: "", Group: "g", Name: "n"}, Subset: "x", ID: "i:1",
	}
	key := RowOfInstance(&k.Publisher, &k.Service, k.Subset, k.ID)
	if got, err := parseInstanceRow(key); err != nil || got != k {
		t.Errorf("parseInstanceRow() = %+v, %v, want %+v", got, err, k)
	}
	for name, prefix := range map[string][]byte{
		"publisher": RowOfPublisher(&k.Publisher), "service": RowsInService(&k.Publisher, &k.Service), "subset": RowsInSubset(&k.Publisher, &k.Service, k.Subset),
	} {
		if !bytes.HasPrefix(key, prefix) {
			t.Errorf("rows of %s are no prefix of the instance", name)
		}
	}
	// The rows of one scope are not among those of another.
	other := registry.PublisherKey{Owner: "o", Scope: "s"}
	if bytes.HasPrefix(key, RowOfPublisher(&other)) {
		t.Error("an instance is among the rows of another scope")
	}
	o := registry.Override{Service: k.Service, Subset: "x", Host: "h", Port: 65535}
	if got, err := parseOverrideRow(RowOfOverride(&o)); err != nil || got != (overrideKey{k.Service, "x", "h", 65535}) {
		t.Errorf("parseOverrideRow() = %+v, %v", got, err)
	}
}

// STY-67: no bytes break the decoders, and what they accept survives another
// round.
func FuzzRows(f *testing.F) {
	zero, no := 0.0, false
	f.Add(EncodeInstance(&registry.Registration{Host: "h", Port: 1, Weight: math.Inf(1), Warn: &zero, Tags: []string{""}, Ports: []registry.NamedPort{{Name: "p"}}}))
	f.Add(EncodePublisher(&registry.Publisher{Status: registry.Passing, Info: &registry.PublisherInfo{Locality: &registry.Locality{Zone: "z"}, Out: true}}))
	f.Add(EncodeService(&registry.Service{Protect: 0.1, Subsets: []registry.Subset{{Name: "s", Check: &registry.Check{}}}, Ext: []registry.Ext{{Owner: "o"}}}))
	f.Add(EncodeLaid(&Laid{Enabled: &no, Parts: []Part{{Owner: "o", Weight: &zero, HasMeta: true, Meta: registry.Pairs{{Key: "k"}}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(what string, encode func() []byte, again func([]byte) ([]byte, error)) {
			first := encode()
			second, err := again(first)
			if err != nil || !bytes.Equal(first, second) {
				t.Errorf("%s %x: %x, then %x, %v", what, b, first, second, err)
			}
		}
		if r, err := DecodeInstance(b); err == nil {
			check("instance", func() []byte { return EncodeInstance(&r) }, func(b []byte) ([]byte, error) {
				r, err := DecodeInstance(b)
				return EncodeInstance(&r), err
			})
		}
		if p, err := decodePublisher(persistentKey, &kv.Record{Value: b}); err == nil {
			check("publisher", func() []byte { return EncodePublisher(p) }, func(b []byte) ([]byte, error) {
				p, err := decodePublisher(persistentKey, &kv.Record{Value: b})
				return EncodePublisher(p), err
			})
		}
		if s, err := DecodeService(svc("a"), &kv.Record{Value: b}); err == nil {
			check("service", func() []byte { return EncodeService(s) }, func(b []byte) ([]byte, error) {
				s, err := DecodeService(svc("a"), &kv.Record{Value: b})
				return EncodeService(s), err
			})
		}
		if l, err := DecodeLaid(b); err == nil {
			check("override", func() []byte { return EncodeLaid(l) }, func(b []byte) ([]byte, error) {
				l, err := DecodeLaid(b)
				return EncodeLaid(l), err
			})
		}
	})
}

func TestRowOfOverrideKeepsNil(t *testing.T) {
	no := false
	for name, l := range map[string]*Laid{
		"nothing": {}, "off": {Enabled: &no},
		"empty metadata": {Parts: []Part{{Owner: "o", HasMeta: true}}},
	} {
		if got, err := DecodeLaid(EncodeLaid(l)); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("DecodeLaid(%s) = %+v, %v, want %+v", name, got, err, l)
		}
	}
}
