package catalog

import (
	"slices"

	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// EncodeService renders the settings of a service.
func EncodeService(s *registry.Service) []byte {
	w := newRow(64)
	w.Float(1, s.Protect)
	w.Text(2, s.Selector)
	writePairs(&w, 3, s.Meta)
	for i := range s.Subsets {
		w.Message(4, func(in *fields.Writer) { writeSubset(in, &s.Subsets[i]) })
	}
	for i := range s.Ext {
		w.Pair(5, s.Ext[i].Owner, string(s.Ext[i].Data))
	}
	w.Number(6, s.Created)
	return w.B
}

func writeSubset(w *fields.Writer, s *registry.Subset) {
	w.Text(1, s.Name)
	if c := s.Check; c != nil {
		w.Message(2, func(in *fields.Writer) {
			in.Text(1, c.Kind)
			in.Number(2, int64(c.Port))
			in.Bytes(3, c.Spec)
		})
	}
	writePairs(w, 3, s.Meta)
}

// DecodeService reads the settings of a service.
func DecodeService(k registry.ServiceKey, r *kv.Record) (*registry.Service, error) {
	b, err := body(r.Value)
	if err != nil {
		return nil, err
	}
	s := &registry.Service{Key: k, Modified: r.Modified}
	err = fields.Each(b, func(f fields.Field) (err error) {
		switch f.N {
		case 1:
			s.Protect = f.Float()
		case 2:
			s.Selector = f.Text()
		case 3:
			err = readPair(&f, &s.Meta)
		case 4:
			var sub registry.Subset
			err = fields.Each(f.Bytes, func(in fields.Field) error { return readSubset(&in, &sub) })
			s.Subsets = append(s.Subsets, sub)
		case 5:
			var owner, data string
			owner, data, err = f.Pair()
			s.Ext = append(s.Ext, registry.Ext{Owner: owner, Data: []byte(data)})
		case 6:
			s.Created = f.Num
		}
		return err
	})
	return s, err
}

func readSubset(f *fields.Field, s *registry.Subset) error {
	switch f.N {
	case 1:
		s.Name = f.Text()
	case 2:
		s.Check = new(registry.Check)
		return fields.Each(f.Bytes, func(in fields.Field) error {
			switch in.N {
			case 1:
				s.Check.Kind = in.Text()
			case 2:
				s.Check.Port = uint16(in.Num)
			case 3:
				s.Check.Spec = slices.Clone(in.Bytes)
			}
			return nil
		})
	case 3:
		return readPair(f, &s.Meta)
	}
	return nil
}
