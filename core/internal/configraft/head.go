package configraft

import (
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/registry"
)

// EncodeHead renders the row of a head; its variants are rows of their own. With
// Version zero the stamp of the transaction goes to StampAt.
func EncodeHead(h *configstore.Head) []byte {
	w := newWriter(h.Version, 96+len(h.Desc)+len(h.App)+len(h.Cipher))
	w.bytes(1, h.Digest[:])
	w.number(2, int64(h.Size))
	w.flag(3, h.ReadOnly)
	w.flag(4, h.Formal)
	w.text(5, h.Type)
	w.texts(6, h.Tags)
	w.text(7, h.App)
	w.text(8, h.Desc)
	w.text(9, h.Cipher)
	w.text(10, h.Owner)
	w.text(11, h.Creator)
	w.text(12, h.Source)
	w.number(13, h.Created)
	w.number(14, h.Modified)
	for _, e := range h.Ext {
		appendPair(&w, 15, e.Owner, string(e.Data))
	}
	return w.b
}

// decodeHead reads a row written by EncodeHead.
func decodeHead(b []byte) (*configstore.Head, error) { //nolint:gocyclo // one case per field
	stamp, b, err := header(b)
	if err != nil {
		return nil, err
	}
	h := &configstore.Head{Version: stamp}
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			h.Digest, err = readDigest(f.bytes)
		case 2:
			h.Size = int32(f.num)
		case 3:
			h.ReadOnly = f.num != 0
		case 4:
			h.Formal = f.num != 0
		case 5:
			h.Type = string(f.bytes)
		case 6:
			h.Tags = append(h.Tags, string(f.bytes))
		case 7:
			h.App = string(f.bytes)
		case 8:
			h.Desc = string(f.bytes)
		case 9:
			h.Cipher = string(f.bytes)
		case 10:
			h.Owner = string(f.bytes)
		case 11:
			h.Creator = string(f.bytes)
		case 12:
			h.Source = string(f.bytes)
		case 13:
			h.Created = f.num
		case 14:
			h.Modified = f.num
		case 15:
			var p registry.Pair
			p, err = readPair(f.bytes)
			h.Ext = append(h.Ext, registry.Ext{Owner: p.Key, Data: []byte(p.Value)})
		}
		return err
	})
	return h, err
}

// CloneHead returns a copy to be changed before it is published. Slices are
// shared: replace them, do not write to them.
func CloneHead(h *configstore.Head) *configstore.Head {
	return &configstore.Head{
		Key: h.Key, Digest: h.Digest, Size: h.Size, ReadOnly: h.ReadOnly, Formal: h.Formal,
		Type: h.Type, Tags: h.Tags, App: h.App, Desc: h.Desc, Cipher: h.Cipher, Owner: h.Owner,
		Creator: h.Creator, Source: h.Source, Created: h.Created, Modified: h.Modified,
		Revision: h.Revision, Version: h.Version, Variants: h.Variants, Ext: h.Ext,
	}
}
