package configstore

import (
	"context"

	"github.com/easynet-cn/batata/core/kv"
)

// Configs reads the config store. Reads are of the local state; a caller that
// needs a fresh or linearizable answer asks kv.Store.View for the barrier first
// (CTR-R12).
type Configs interface {
	// Heads fills one head per key, nil when absent. dst may be reused; with
	// room enough in it nothing is allocated (CTR-F04).
	Heads(ctx context.Context, keys []Key, dst []*Head) ([]*Head, error)
	// Get resolves by labels and returns the shared item: the matching variant
	// of the highest priority, else the formal content. It returns
	// kv.ErrNotFound when neither is there.
	Get(ctx context.Context, k Key, labels Pairs) (*Item, error)
	Search(ctx context.Context, q Query) (Page, error)
	// History lists versions, newest first.
	History(ctx context.Context, q HistoryQuery) ([]Entry, error)
	// At returns one version with its content. Its Head is rebuilt from what
	// the version kept; kv.ErrNotFound when it is gone.
	At(ctx context.Context, k Key, v kv.Stamp) (*Item, error)
	Usage(ctx context.Context, s Scope) (Usage, error)
	// Watch streams changes of the items that match q after a revision; 0 means
	// from now. From, Limit and Text of q are ignored.
	Watch(ctx context.Context, q Query, after kv.Revision) (Stream, error)
}

// Query selects items. Empty fields do not restrict. Namespace is exact. Group
// and Name are patterns: exact, *, a*, *a, *a* and, more generally, any text
// with * for any run of characters.
type Query struct {
	Namespace   string
	AllSpaces   bool // Namespace does not restrict
	Group, Name string
	App         string // exact
	Tags        []string
	AllTags     bool // all of Tags, else any
	Types       []string
	Text        string // substring of the stored formal content
	Owner       string
	From        Key // inclusive resume point
	Limit       int // 0: 1,000; at most kv.MaxPage
	CountTotal  bool
}

// Page is one page in key order.
type Page struct {
	Heads []*Head
	Next  *Key // nil: complete
	Total int  // with CountTotal
}

// Change is one changed item.
type Change struct {
	Key      Key
	Head     *Head // nil: deleted
	Created  bool
	Formal   bool     // formal content, type or metadata changed
	Variants []string // names of changed or removed variants
}

// Batch holds the changes of whole revisions; an empty one is a mark.
type Batch struct {
	Revision kv.Revision
	Changes  []Change
}

// Stream is pulled by one goroutine, like kv.Stream.
type Stream interface {
	Next(ctx context.Context) (Batch, error)
	Close() error
}

// HistoryQuery selects versions. With Name empty it walks a group or a whole
// namespace, and then Before is not in order across items.
type HistoryQuery struct {
	Key     Key
	Before  kv.Stamp // exclusive; 0: from the newest
	Deleted bool     // only the last entry of deleted items
	Limit   int      // 0: 100; at most kv.MaxPage
}

// The kinds of a version that core itself writes.
const (
	KindCreate = "create"
	KindUpdate = "update"
	KindDelete = "delete"
)

// Entry is one version without its content. The entry of a delete holds no
// bytes and points to the version it ended.
type Entry struct {
	Key      Key
	Version  kv.Stamp
	Previous kv.Stamp // 0: none
	Kind     string
	Variant  string // empty: formal
	Digest   Digest
	Size     int32
	Type     string
	App      string
	Cipher   string
	Actor    string // subject
	Source   string // address
	At       int64  // Unix ms
	Meta     Pairs
	Rule     *Rule
}

// Usage is what a scope holds and may hold.
type Usage struct {
	Scope   Scope
	Items   int64
	Quota   int64 // items; 0: the configured default, -1: none
	MaxSize int64 // bytes of one content; 0: the configured default, -1: none
}
