package configraft

import (
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// AppendVersion appends the row of a version; Previous is kept where other rows
// have their stamp, the own stamp is in the key.
func AppendVersion(dst []byte, e *configstore.Entry, desc string, tags []string, content []byte) []byte {
	w := beginRow(dst, e.Previous, 96+len(desc)+len(content)+len(e.Cipher))
	w.Text(1, e.Kind)
	w.Text(2, e.Variant)
	w.Bytes(3, e.Digest[:])
	w.Number(4, int64(e.Size))
	w.Text(5, e.Type)
	w.Text(6, e.App)
	w.Text(7, e.Cipher)
	w.Text(8, e.Actor)
	w.Text(9, e.Source)
	w.Number(10, e.At)
	for _, p := range e.Meta {
		w.Pair(11, p.Key, p.Value)
	}
	if e.Rule != nil {
		w.Message(12, func(in *fields.Writer) { writeRule(in, e.Rule) })
	}
	w.Text(13, desc)
	w.Texts(14, tags)
	w.Bytes(15, content)
	return w.B
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
	return v, fields.Each(b, v.take)
}

func (v *version) take(f fields.Field) (err error) {
	switch f.N {
	case 1:
		v.Kind = f.Text()
	case 2:
		v.Variant = f.Text()
	case 3:
		v.Digest, err = readDigest(f.Bytes)
	case 4:
		v.Size = int32(f.Num)
	case 5:
		v.Type = f.Text()
	case 6:
		v.App = f.Text()
	case 7:
		v.Cipher = f.Text()
	case 8:
		v.Actor = f.Text()
	case 9:
		v.Source = f.Text()
	case 10:
		v.At = f.Num
	default:
		return v.takeRare(f)
	}
	return err
}

func (v *version) takeRare(f fields.Field) error {
	switch f.N {
	case 11:
		key, value, err := f.Pair()
		v.Meta = append(v.Meta, registry.Pair{Key: key, Value: value})
		return err
	case 12:
		r, err := readRule(f.Bytes)
		v.Rule = &r
		return err
	case 13:
		v.desc = f.Text()
	case 14:
		v.tags = append(v.tags, f.Text())
	case 15:
		v.content = f.Bytes
	}
	return nil
}
