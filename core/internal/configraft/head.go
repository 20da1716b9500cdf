package configraft

import (
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/fields"
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

// decodeHead reads a row written by AppendHead.
func (t *texts) decodeHead(b []byte) (*configstore.Head, error) { //nolint:gocyclo // one case per field
	stamp, b, err := header(b)
	if err != nil {
		return nil, err
	}
	h := &configstore.Head{Version: stamp}
	err = fields.Each(b, func(f fields.Field) (err error) {
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
			h.Type = t.of(f.Bytes)
		case 6:
			h.Tags = append(h.Tags, t.of(f.Bytes))
		case 7:
			h.App = t.of(f.Bytes)
		case 8:
			h.Desc = f.Text()
		case 9:
			h.Cipher = f.Text()
		case 10:
			h.Owner = t.of(f.Bytes)
		case 11:
			h.Creator = t.of(f.Bytes)
		case 12:
			h.Source = t.of(f.Bytes)
		case 13:
			h.Created = f.Num
		case 14:
			h.Modified = f.Num
		case 15:
			var owner, data []byte
			owner, data, err = f.PairBytes()
			h.Ext = t.ext(h.Ext, owner, data)
		}
		return err
	})
	return h, err
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
