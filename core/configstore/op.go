package configstore

import "github.com/easynet-cn/batata/core/kv"

// MaxContent is the largest content in bytes (ARC-S12).
const MaxContent = kv.MaxValue

// Op is one change; exactly one field is set.
type Op struct {
	Publish *Publish
	Remove  *Remove
	Meta    *MetaChange
	Limit   *Limit
}

// Publish writes the formal content of an item or one of its variants. Nil
// pointers and SetTags=false keep what is there; everything else overwrites.
// A publish that would change nothing is no change and makes no version, unless
// Kind is set.
type Publish struct {
	Key      Key
	Variant  string // empty: formal
	Rule     *Rule  // of the variant; nil keeps the present one
	Content  []byte
	Type     string
	App      *string
	Desc     *string
	Tags     []string
	SetTags  bool
	Cipher   string
	ReadOnly bool
	Owned    bool   // the item is a projection of the writing plugin
	Kind     string // history kind when not create or update
	Ext      []byte // the writer's own; nil keeps it
	Meta     Pairs  // kept with the version
	If       Guard
}

// Remove deletes the formal content and with it all variants, or one variant.
// Removing what is absent is no change.
type Remove struct {
	Key     Key
	Variant string
	Meta    Pairs // kept with the version
	If      Guard
}

// MetaChange changes what lies beside the content; it makes no version. It is
// no change when the item is absent.
type MetaChange struct {
	Key     Key
	Desc    *string
	Tags    []string
	SetTags bool
	If      Guard
}

// Limit sets the quota of a scope; 0 means the configured default, and -1 none.
type Limit struct {
	Scope   Scope
	Items   int64
	MaxSize int64 // bytes of one content
}

// Guard is the optimistic check of one op; the zero value checks nothing. A
// guard on a missing item: Absent holds, Digest and Revision refuse. For an op
// on a variant, Absent and Digest look at that variant.
type Guard struct {
	Absent   bool
	Digest   *Digest
	Revision kv.Revision // of the head
}

// Outcome is what one op did.
type Outcome struct {
	Changed bool
	Created bool
	Version kv.Stamp // the version written; 0: none
}
