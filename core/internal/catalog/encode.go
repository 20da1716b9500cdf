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
