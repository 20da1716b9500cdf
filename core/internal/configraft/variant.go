package configraft

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/easynet-cn/batata/core/configstore"
)

// EncodeVariant renders the row of a variant, with a stamp as EncodeHead.
func EncodeVariant(v *configstore.Variant) []byte {
	w := newWriter(v.Version, 96+len(v.Rule.Expr))
	w.bytes(1, v.Digest[:])
	w.number(2, int64(v.Size))
	w.text(3, v.Type)
	w.text(4, v.Cipher)
	w.text(5, v.Actor)
	w.number(6, v.Modified)
	w.message(7, func(in *writer) { in.rule(&v.Rule) })
	return w.b
}

// decodeVariant reads a row written by EncodeVariant.
func decodeVariant(name string, b []byte) (*configstore.Variant, error) {
	stamp, b, err := header(b)
	if err != nil {
		return nil, err
	}
	v := &configstore.Variant{Name: name, Version: stamp}
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			v.Digest, err = readDigest(f.bytes)
		case 2:
			v.Size = int32(f.num)
		case 3:
			v.Type = string(f.bytes)
		case 4:
			v.Cipher = string(f.bytes)
		case 5:
			v.Actor = string(f.bytes)
		case 6:
			v.Modified = f.num
		case 7:
			v.Rule, err = readRule(f.bytes)
		}
		return err
	})
	return v, err
}

// message writes a message even when it is empty: a clause without conditions is
// not no clause.
func (w *writer) message(n protowire.Number, fill func(*writer)) {
	var in writer
	fill(&in)
	w.b = protowire.AppendBytes(protowire.AppendTag(w.b, n, protowire.BytesType), in.b)
}

func (w *writer) rule(r *configstore.Rule) {
	w.text(1, r.Type)
	w.text(2, r.Version)
	w.text(3, r.Expr)
	w.number(4, int64(r.Priority))
	for i := range r.Any {
		w.message(5, func(in *writer) { in.clause(&r.Any[i]) })
	}
}

func (w *writer) clause(c *configstore.Clause) {
	w.text(1, c.Label)
	w.texts(2, c.Values)
	w.texts(3, c.Nets)
	w.number(4, int64(c.Percent))
	for i := range c.And {
		w.message(5, func(in *writer) { in.clause(&c.And[i]) })
	}
}

func readRule(b []byte) (r configstore.Rule, err error) {
	err = eachField(b, func(f field) error {
		switch f.n {
		case 1:
			r.Type = string(f.bytes)
		case 2:
			r.Version = string(f.bytes)
		case 3:
			r.Expr = string(f.bytes)
		case 4:
			r.Priority = int32(f.num)
		case 5:
			c, err := readClause(f.bytes, 0)
			r.Any = append(r.Any, c)
			return err
		}
		return nil
	})
	return r, err
}

// maxNesting bounds clauses inside clauses.
const maxNesting = 16

func readClause(b []byte, depth int) (c configstore.Clause, err error) {
	if depth > maxNesting {
		return c, errRow
	}
	err = eachField(b, func(f field) error {
		switch f.n {
		case 1:
			c.Label = string(f.bytes)
		case 2:
			c.Values = append(c.Values, string(f.bytes))
		case 3:
			c.Nets = append(c.Nets, string(f.bytes))
		case 4:
			c.Percent = uint8(f.num)
		case 5:
			in, err := readClause(f.bytes, depth+1)
			c.And = append(c.And, in)
			return err
		}
		return nil
	})
	return c, err
}
