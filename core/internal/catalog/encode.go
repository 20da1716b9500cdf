package catalog

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

func writePairs(w *fields.Writer, n protowire.Number, p registry.Pairs) {
	for i := range p {
		w.Pair(n, p[i].Key, p[i].Value)
	}
}

func writeFloat(w *fields.Writer, n protowire.Number, v *float64) {
	if v != nil {
		w.Message(n, func(in *fields.Writer) { in.Float(1, *v) })
	}
}

func writeLocality(w *fields.Writer, n protowire.Number, l *registry.Locality) {
	if l != nil {
		w.Message(n, func(in *fields.Writer) {
			in.Text(1, l.Region)
			in.Text(2, l.Zone)
			in.Text(3, l.Subzone)
		})
	}
}

func readFloat(f *fields.Field) (*float64, error) {
	v := new(float64)
	return v, fields.Each(f.Bytes, func(in fields.Field) error {
		if in.N == 1 {
			*v = in.Float()
		}
		return nil
	})
}

func readLocality(f *fields.Field) (*registry.Locality, error) {
	l := new(registry.Locality)
	return l, fields.Each(f.Bytes, func(in fields.Field) error {
		switch in.N {
		case 1:
			l.Region = in.Text()
		case 2:
			l.Zone = in.Text()
		case 3:
			l.Subzone = in.Text()
		}
		return nil
	})
}

func readPair(f *fields.Field, to *registry.Pairs) error {
	key, value, err := f.Pair()
	*to = append(*to, registry.Pair{Key: key, Value: value})
	return err
}

// EncodeInstance renders the row of an instance that has been checked. Beats are
// for ephemeral ones: Expiry is not kept.
func EncodeInstance(r *registry.Registration) []byte {
	w := newRow(48 + len(r.Host) + 48*len(r.Meta) + len(r.Ext))
	w.Text(1, r.Host)
	w.Number(2, int64(r.Port))
	w.Float(3, r.Weight)
	writeFloat(&w, 4, r.Warn)
	w.Number(5, int64(r.Status))
	w.Flag(6, r.Enabled)
	w.Flag(7, r.Drain)
	if r.Locality != (registry.Locality{}) {
		writeLocality(&w, 8, &r.Locality)
	}
	w.Texts(9, r.Tags)
	writePairs(&w, 10, r.Meta)
	for i := range r.Ports {
		w.Message(11, func(in *fields.Writer) {
			in.Text(1, r.Ports[i].Name)
			in.Number(2, int64(r.Ports[i].Port))
		})
	}
	writePairs(&w, 12, r.Addrs)
	w.Bytes(13, r.Ext)
	return w.B
}

// DecodeInstance reads the row of an instance.
func DecodeInstance(row []byte) (r registry.Registration, err error) {
	b, err := body(row)
	if err != nil {
		return r, err
	}
	err = fields.Each(b, func(f fields.Field) (err error) {
		switch f.N {
		case 1:
			r.Host = f.Text()
		case 2:
			r.Port = uint16(f.Num)
		case 3:
			r.Weight = f.Float()
		case 4:
			r.Warn, err = readFloat(&f)
		case 5:
			r.Status = registry.Status(f.Num)
		case 6:
			r.Enabled = f.Num != 0
		case 7:
			r.Drain = f.Num != 0
		default:
			err = readRare(&f, &r)
		}
		return err
	})
	return r, err
}

func readRare(f *fields.Field, r *registry.Registration) error {
	switch f.N {
	case 8:
		l, err := readLocality(f)
		r.Locality = *l
		return err
	case 9:
		r.Tags = append(r.Tags, f.Text())
	case 10:
		return readPair(f, &r.Meta)
	case 11:
		var p registry.NamedPort
		err := fields.Each(f.Bytes, func(in fields.Field) error {
			switch in.N {
			case 1:
				p.Name = in.Text()
			case 2:
				p.Port = uint16(in.Num)
			}
			return nil
		})
		r.Ports = append(r.Ports, p)
		return err
	case 12:
		return readPair(f, &r.Addrs)
	case 13:
		r.Ext = slices.Clone(f.Bytes)
	}
	return nil
}

// EncodePublisher renders the row of a publisher. Its lease is that of the row.
func EncodePublisher(p *registry.Publisher) []byte {
	w := newRow(64)
	w.Number(1, int64(p.Status))
	w.Flag(2, p.Stale)
	if p.Info == nil {
		return w.B
	}
	w.Message(3, func(in *fields.Writer) {
		in.Text(1, p.Info.Origin)
		in.Text(2, p.Info.Addr)
		writeLocality(in, 3, p.Info.Locality)
		writePairs(in, 4, p.Info.Labels)
		in.Bytes(5, p.Info.Ext)
		in.Flag(6, p.Info.Out)
	})
	return w.B
}

func decodePublisher(k registry.PublisherKey, r *kv.Record) (*registry.Publisher, error) {
	b, err := body(r.Value)
	if err != nil {
		return nil, err
	}
	p := &registry.Publisher{Key: k, Modified: r.Modified}
	err = fields.Each(b, func(f fields.Field) (err error) {
		switch f.N {
		case 1:
			p.Status = registry.Status(f.Num)
		case 2:
			p.Stale = f.Num != 0
		case 3:
			p.Info = &registry.PublisherInfo{Lease: r.Lease}
			err = fields.Each(f.Bytes, func(in fields.Field) error { return readInfo(&in, p.Info) })
		}
		return err
	})
	return p, err
}

func readInfo(f *fields.Field, p *registry.PublisherInfo) (err error) {
	switch f.N {
	case 1:
		p.Origin = f.Text()
	case 2:
		p.Addr = f.Text()
	case 3:
		p.Locality, err = readLocality(f)
	case 4:
		err = readPair(f, &p.Labels)
	case 5:
		p.Ext = slices.Clone(f.Bytes)
	case 6:
		p.Out = f.Num != 0
	}
	return err
}

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
