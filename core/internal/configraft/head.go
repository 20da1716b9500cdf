package configraft

import (
	"slices"
	"unsafe"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/registry"
)

// AppendHead appends the row of a head; its variants are rows of their own. With
// Version zero the stamp of the transaction goes to StampAt.
func AppendHead(dst []byte, h *configstore.Head) []byte {
	w := beginRow(dst, h.Version, 96+len(h.Desc)+len(h.App)+len(h.Cipher))
	w.Bytes(1, h.Digest[:])
	w.Number(2, int64(h.Size))
	w.Flag(3, h.ReadOnly)
	w.Flag(4, h.Formal)
	w.Text(5, h.Type)
	w.Texts(6, h.Tags)
	w.Text(7, h.App)
	w.Text(8, h.Desc)
	w.Text(9, h.Cipher)
	w.Text(10, h.Owner)
	w.Text(11, h.Creator)
	w.Text(12, h.Source)
	w.Number(13, h.Created)
	w.Number(14, h.Modified)
	for _, e := range h.Ext {
		w.Pair(15, e.Owner, string(e.Data))
	}
	return w.B
}

// reader is a head as it is read, with room for what most heads hold besides.
type reader struct {
	head configstore.Head
	ext  [1]registry.Ext
}

// decodeHead reads a row written by AppendHead.
func decodeHead(b []byte) (*configstore.Head, error) {
	r := new(reader)
	err := r.value(b)
	return &r.head, err
}

// row reads the row of a head with its key. Texts share memory with the row,
// which never changes.
func (r *reader) row(row *kv.Record) error {
	k, err := lentKey(row.Key)
	if err != nil {
		return err
	}
	if err := r.value(row.Value); err != nil {
		return err
	}
	r.head.Key, r.head.Revision = k, row.Modified
	return nil
}

func (r *reader) value(b []byte) error {
	stamp, b, err := header(b)
	if err != nil {
		return err
	}
	r.head = configstore.Head{Version: stamp}
	return fields.Each(b, r.take)
}

func (r *reader) take(f fields.Field) (err error) {
	h := &r.head
	switch f.N {
	case 1:
		h.Digest, err = readDigest(f.Bytes)
	case 2:
		h.Size = int32(f.Num)
	case 3:
		h.ReadOnly = f.Num != 0
	case 4:
		h.Formal = f.Num != 0
	case 5:
		h.Type = lent(f.Bytes)
	case 13:
		h.Created = f.Num
	case 14:
		h.Modified = f.Num
	case 15:
		return r.part(f)
	default:
		r.text(f)
	}
	return err
}

func (r *reader) text(f fields.Field) {
	h := &r.head
	switch f.N {
	case 6:
		h.Tags = append(h.Tags, lent(f.Bytes))
	case 7:
		h.App = lent(f.Bytes)
	case 8:
		h.Desc = lent(f.Bytes)
	case 9:
		h.Cipher = lent(f.Bytes)
	case 10:
		h.Owner = lent(f.Bytes)
	case 11:
		h.Creator = lent(f.Bytes)
	case 12:
		h.Source = lent(f.Bytes)
	}
}

// part adds what one plugin keeps with the head. Lists of one stay in the reader.
func (r *reader) part(f fields.Field) error {
	owner, data, err := f.PairBytes()
	if err != nil {
		return err
	}
	if r.head.Ext == nil {
		r.head.Ext = r.ext[:0:1]
	}
	if data == nil {
		data = []byte{}
	}
	r.head.Ext = append(r.head.Ext, registry.Ext{Owner: lent(owner), Data: slices.Clip(data)})
	return nil
}

// lentKey reads the key of a head.
func lentKey(b []byte) (k configstore.Key, err error) {
	namespace, b, err := tuple.Cut(b)
	if err != nil {
		return k, err
	}
	group, b, err := tuple.Cut(b)
	if err != nil {
		return k, err
	}
	name, rest, err := tuple.Cut(b)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return configstore.Key{Namespace: lent(namespace), Group: lent(group), Name: lent(name)}, err
}

// lent reads bytes that never change as a text, without a copy.
func lent(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // see above
}

// CloneHead returns a copy to be changed before it is published. Slices are
// shared: replace them, do not write to them.
func CloneHead(h *configstore.Head) *configstore.Head {
	c := new(configstore.Head)
	CopyHead(c, h)
	return c
}

// CopyHead is CloneHead into memory of the caller's, which was never published.
func CopyHead(dst, h *configstore.Head) {
	dst.Key, dst.Digest, dst.Size, dst.ReadOnly, dst.Formal = h.Key, h.Digest, h.Size, h.ReadOnly, h.Formal
	dst.Type, dst.Tags, dst.App, dst.Desc, dst.Cipher = h.Type, h.Tags, h.App, h.Desc, h.Cipher
	dst.Owner, dst.Creator, dst.Source = h.Owner, h.Creator, h.Source
	dst.Created, dst.Modified, dst.Revision, dst.Version = h.Created, h.Modified, h.Revision, h.Version
	dst.Variants, dst.Ext = h.Variants, h.Ext
}
