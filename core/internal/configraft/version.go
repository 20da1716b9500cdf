package configraft

import (
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
)

// EncodeVersion renders the row of a version; Previous is kept where other rows
// have their stamp, the own stamp is in the key.
func EncodeVersion(e *configstore.Entry, desc string, tags []string, content []byte) []byte {
	w := newWriter(e.Previous, 96+len(desc)+len(content)+len(e.Cipher))
	w.text(1, e.Kind)
	w.text(2, e.Variant)
	w.bytes(3, e.Digest[:])
	w.number(4, int64(e.Size))
	w.text(5, e.Type)
	w.text(6, e.App)
	w.text(7, e.Cipher)
	w.text(8, e.Actor)
	w.text(9, e.Source)
	w.number(10, e.At)
	for _, p := range e.Meta {
		appendPair(&w, 11, p.Key, p.Value)
	}
	if e.Rule != nil {
		w.message(12, func(in *writer) { in.rule(e.Rule) })
	}
	w.text(13, desc)
	w.texts(14, tags)
	w.bytes(15, content)
	return w.b
}

// version is one row as read; content shares memory with it.
type version struct {
	configstore.Entry
	desc    string
	tags    []string
	content []byte
}

// decodeVersion reads a row of a version by its key and value.
func decodeVersion(key, value []byte) (v version, err error) {
	k, rest, err := parseKey(key)
	if err != nil || len(rest) != 8 {
		return v, errRow
	}
	stamp := kv.Stamp(0)
	for _, c := range rest {
		stamp = stamp<<8 | kv.Stamp(c)
	}
	previous, b, err := header(value)
	if err != nil {
		return v, err
	}
	v.Key, v.Version, v.Previous = k, stamp, previous
	return v, eachField(b, v.take)
}

func (v *version) take(f field) (err error) {
	switch f.n {
	case 1:
		v.Kind = string(f.bytes)
	case 2:
		v.Variant = string(f.bytes)
	case 3:
		v.Digest, err = readDigest(f.bytes)
	case 4:
		v.Size = int32(f.num)
	case 5:
		v.Type = string(f.bytes)
	case 6:
		v.App = string(f.bytes)
	case 7:
		v.Cipher = string(f.bytes)
	case 8:
		v.Actor = string(f.bytes)
	case 9:
		v.Source = string(f.bytes)
	case 10:
		v.At = f.num
	default:
		return v.takeRare(f)
	}
	return err
}

func (v *version) takeRare(f field) error {
	switch f.n {
	case 11:
		p, err := readPair(f.bytes)
		v.Meta = append(v.Meta, p)
		return err
	case 12:
		r, err := readRule(f.bytes)
		v.Rule = &r
		return err
	case 13:
		v.desc = string(f.bytes)
	case 14:
		v.tags = append(v.tags, string(f.bytes))
	case 15:
		v.content = f.bytes
	}
	return nil
}
