package configraft

import (
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fields"
)

// AppendVariant appends the row of a variant, with a stamp as AppendHead.
func AppendVariant(dst []byte, v *configstore.Variant) []byte {
	w := beginRow(dst, v.Version, 96+len(v.Rule.Expr))
	w.Bytes(1, v.Digest[:])
	w.Number(2, int64(v.Size))
	w.Text(3, v.Type)
	w.Text(4, v.Cipher)
	w.Text(5, v.Actor)
	w.Number(6, v.Modified)
	w.Message(7, func(in *fields.Writer) { writeRule(in, &v.Rule) })
	return w.B
}

// decodeVariant reads a row written by AppendVariant.
func decodeVariant(name string, b []byte) (*configstore.Variant, error) {
	stamp, b, err := header(b)
	if err != nil {
		return nil, err
	}
	v := &configstore.Variant{Name: name, Version: stamp}
	err = fields.Each(b, func(f fields.Field) (err error) {
		switch f.N {
		case 1:
			v.Digest, err = readDigest(f.Bytes)
		case 2:
			v.Size = int32(f.Num)
		case 3:
			v.Type = f.Text()
		case 4:
			v.Cipher = f.Text()
		case 5:
			v.Actor = f.Text()
		case 6:
			v.Modified = f.Num
		case 7:
			v.Rule, err = readRule(f.Bytes)
		}
		return err
	})
	return v, err
}

// writeRule keeps empty messages: a clause without conditions is not no clause.
func writeRule(w *fields.Writer, r *configstore.Rule) {
	w.Text(1, r.Type)
	w.Text(2, r.Version)
	w.Text(3, r.Expr)
	w.Number(4, int64(r.Priority))
	for i := range r.Any {
		w.Message(5, func(in *fields.Writer) { writeClause(in, &r.Any[i]) })
	}
}

func writeClause(w *fields.Writer, c *configstore.Clause) {
	w.Text(1, c.Label)
	w.Texts(2, c.Values)
	w.Texts(3, c.Nets)
	w.Number(4, int64(c.Percent))
	for i := range c.And {
		w.Message(5, func(in *fields.Writer) { writeClause(in, &c.And[i]) })
	}
}

func readRule(b []byte) (r configstore.Rule, err error) {
	err = fields.Each(b, func(f fields.Field) error {
		switch f.N {
		case 1:
			r.Type = f.Text()
		case 2:
			r.Version = f.Text()
		case 3:
			r.Expr = f.Text()
		case 4:
			r.Priority = int32(f.Num)
		case 5:
			c, err := readClause(f.Bytes, 0)
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
	err = fields.Each(b, func(f fields.Field) error {
		switch f.N {
		case 1:
			c.Label = f.Text()
		case 2:
			c.Values = append(c.Values, f.Text())
		case 3:
			c.Nets = append(c.Nets, f.Text())
		case 4:
			c.Percent = uint8(f.Num)
		case 5:
			in, err := readClause(f.Bytes, depth+1)
			c.And = append(c.And, in)
			return err
		}
		return nil
	})
	return c, err
}
