// Package configstore is the contract of the config store: items with content,
// digest, type and tags, alternative contents that rules choose by the labels
// of the caller, and every version ever written as history.
//
// An item is a head (small, in memory, watched) and versions (the bytes, on
// disk behind a bounded cache). Content is opaque: it is never re-encoded, and
// its digest is computed once, when it is published. Changes are Ops, committed
// through package txn; this package has no write methods. Reads take no lock
// and return shared values that must not be changed.
//
// The suite that every implementation passes is configstore/configstoretest.
package configstore

import (
	"encoding/hex"
	"fmt"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/core/registry"
)

// Key names an item.
type Key struct{ Namespace, Group, Name string }

// String renders the key for errors and logs.
func (k Key) String() string { return k.Namespace + "/" + k.Group + "/" + k.Name }

// Digest is the MD5 of the stored bytes.
type Digest [16]byte

// String returns the digest as lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Pairs is a small sorted map.
type Pairs = registry.Pairs

// Rule chooses a variant by the caller's labels.
type Rule struct {
	Type, Version string // as the writing protocol calls it
	Expr          string // verbatim, given back on read
	Priority      int32  // the highest matching one wins
	Any           []Clause
}

// Clause is one condition that a Rule was compiled to. All its parts must hold:
// the label has one of Values, lies in one of Nets, and falls below Percent,
// where the part is set, and so do all of And.
type Clause struct {
	Label   string   // for example "ip", "tag", "app"
	Values  []string // exact texts
	Nets    []string // CIDR
	Percent uint8    // 1..100, stable hash of the label's value; 0: not asked
	And     []Clause
}

// Variant is an alternative content of an item.
type Variant struct {
	Name     string
	Rule     Rule
	Digest   Digest
	Size     int32 // bytes
	Version  kv.Stamp
	Type     string
	Cipher   string
	Actor    string
	Modified int64 // Unix ms
	Memo     memo.Cache
}

// Head is everything about an item but its content.
type Head struct {
	Key      Key
	Digest   Digest
	Size     int32 // bytes
	ReadOnly bool  // only Owner may write
	Formal   bool  // false: only variants exist
	Type     string
	Tags     []string
	App      string
	Desc     string
	Cipher   string // wrapped data key
	Owner    string // plugin that projects it; empty: users
	Creator  string // subject that created it
	Source   string // address it was created from
	Created  int64  // Unix ms
	Modified int64  // Unix ms
	Revision kv.Revision
	Version  kv.Stamp
	Variants []*Variant // priority descending, then name
	Ext      []registry.Ext
	Memo     memo.Cache
}

// Item is the content that answers one read.
type Item struct {
	Head    *Head
	Variant *Variant // nil: formal
	Content []byte   // shared, read-only
	Memo    memo.Cache
}

// Scope is a namespace, or one group of it.
type Scope struct{ Namespace, Group string }

// GuardError tells what a guarded item looks like now.
type GuardError struct {
	Key      Key
	Digest   Digest
	Revision kv.Revision // 0: absent
}

// Error implements error.
func (e *GuardError) Error() string { return fmt.Sprintf("guard on %v: not as expected", e.Key) }

// QuotaError reports which limit a write would exceed.
type QuotaError struct {
	Scope       Scope
	What        string // "items" or "size"
	Used, Limit int64
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("quota %s of %s/%s: %d of %d", e.What, e.Scope.Namespace, e.Scope.Group, e.Used, e.Limit)
}
