package catalog

import (
	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/registry"
)

// Laid is the row of an override: whether the instance takes work counts for
// whoever owns it, the rest only for the instances of the plugin that wrote it
// (CTR-M07).
type Laid struct {
	Enabled *bool
	Parts   []Part // sorted by owner
}

// Part is what one plugin laid over its own.
type Part struct {
	Owner   string
	Weight  *float64
	Meta    registry.Pairs
	HasMeta bool
}

// EncodeLaid renders an override.
func EncodeLaid(l *Laid) []byte {
	w := newRow(32)
	if l.Enabled != nil {
		w.Message(1, func(in *fields.Writer) { in.Flag(1, *l.Enabled) })
	}
	for i := range l.Parts {
		w.Message(2, func(in *fields.Writer) {
			p := &l.Parts[i]
			in.Text(1, p.Owner)
			writeFloat(in, 2, p.Weight)
			in.Flag(3, p.HasMeta)
			writePairs(in, 4, p.Meta)
		})
	}
	return w.B
}

// DecodeLaid reads an override.
func DecodeLaid(row []byte) (*Laid, error) {
	b, err := body(row)
	if err != nil {
		return nil, err
	}
	l := new(Laid)
	err = fields.Each(b, func(f fields.Field) error {
		switch f.N {
		case 1:
			l.Enabled = new(bool)
			return fields.Each(f.Bytes, func(in fields.Field) error {
				*l.Enabled = *l.Enabled || in.N == 1 && in.Num != 0
				return nil
			})
		case 2:
			var p Part
			err := fields.Each(f.Bytes, func(in fields.Field) error { return readPart(&in, &p) })
			l.Parts = append(l.Parts, p)
			return err
		}
		return nil
	})
	return l, err
}

func readPart(f *fields.Field, p *Part) (err error) {
	switch f.N {
	case 1:
		p.Owner = f.Text()
	case 2:
		p.Weight, err = readFloat(f)
	case 3:
		p.HasMeta = f.Num != 0
	case 4:
		err = readPair(f, &p.Meta)
	}
	return err
}
