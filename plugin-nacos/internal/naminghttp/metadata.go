package naminghttp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// maxJSON bounds a JSON text inside a parameter before it is looked at: what
// passes the checks after it is a small part of that.
const maxJSON = 64 << 10

func badMetadata() error {
	return &naming.Error{Reason: naming.BadMetadata, Detail: "metadata format incorrect"}
}

// parseMetadata reads metadata in both forms, a JSON object or k=v,k=v
// (NAC-QRK-37); a blank text is none. As in the reference numbers and booleans
// of JSON become texts, and the last of equal keys counts. What is returned does
// not hold on to the text. The error is an *Error with reason BadMetadata, or
// kv.ErrTooLarge.
func parseMetadata(text string) (registry.Pairs, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || text == "null":
		return nil, nil
	case len(text) > maxJSON:
		return nil, fmt.Errorf("metadata of %d bytes: %w", len(text), kv.ErrTooLarge)
	case text[0] == '{':
		if !gjson.Valid(text) {
			return nil, badMetadata()
		}
		return jsonMetadata(gjson.Parse(text))
	}
	var out registry.Pairs
	for pair := range strings.SplitSeq(text, ",") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || value == "" || strings.Contains(value, "=") {
			return nil, badMetadata()
		}
		out = append(out, registry.Pair{Key: strings.Clone(key), Value: strings.Clone(value)})
	}
	return normal(out), nil
}

// jsonMetadata takes an object of valid JSON apart; one that is absent or null is
// none.
func jsonMetadata(object gjson.Result) (registry.Pairs, error) {
	if object.Type == gjson.Null {
		return nil, nil
	}
	if !object.IsObject() {
		return nil, badMetadata()
	}
	var out registry.Pairs
	nested := false
	object.ForEach(func(key, value gjson.Result) bool {
		nested = value.IsObject() || value.IsArray()
		text := value.String()
		if value.Type == gjson.Number {
			text = value.Raw
		}
		out = append(out, registry.Pair{Key: strings.Clone(key.String()), Value: strings.Clone(text)})
		return !nested
	})
	if nested {
		return nil, badMetadata()
	}
	return normal(out), nil
}

// normal sorts pairs by key and keeps the last of equal ones.
func normal(ps registry.Pairs) registry.Pairs {
	slices.SortStableFunc(ps, func(a, b registry.Pair) int { return cmp.Compare(a.Key, b.Key) })
	out := ps[:0]
	for i := range ps {
		if i+1 < len(ps) && ps[i+1].Key == ps[i].Key {
			continue
		}
		out = append(out, ps[i])
	}
	return out
}

// object writes pairs as a JSON object.
type object registry.Pairs

// MarshalJSON implements json.Marshaler; no pairs are {}, never null.
func (o object) MarshalJSON() ([]byte, error) {
	m := make(map[string]string, len(o))
	for _, p := range o {
		m[p.Key] = p.Value
	}
	return json.Marshal(m) //nolint:wrapcheck // cannot fail
}
