package config

import (
	"github.com/easynet-cn/batata/core/configstore"
)

// Public is the namespace that a blank tenant means.
const Public = "public"

// The names of the labels that rules look at.
const (
	LabelIP  = "ip"
	LabelTag = "tag"
)

// Key maps a client's spelling to the item it names (NAC-CFG-01).
func Key(dataID, group, tenant string) configstore.Key {
	if tenant == "" {
		tenant = Public
	}
	return configstore.Key{Namespace: tenant, Group: group, Name: dataID}
}

// Labels are what a caller's grays are chosen by; blank parts are left out.
func Labels(ip, tag string) configstore.Pairs {
	switch {
	case tag == "" && ip == "":
		return nil
	case tag == "":
		return configstore.Pairs{{Key: LabelIP, Value: ip}}
	case ip == "":
		return configstore.Pairs{{Key: LabelTag, Value: tag}}
	}
	return configstore.Pairs{{Key: LabelIP, Value: ip}, {Key: LabelTag, Value: tag}}
}

// Publish is one publication as clients send it. Non-blank BetaIPs make it a
// beta gray, else a non-blank Tag a tag gray, else it is the formal content
// (NAC-CFG-43).
type Publish struct {
	DataID, Group, Tenant string

	Content          []byte // kept by the store: never reuse it
	Type             string // unknown and blank texts become "text"
	EncryptedDataKey string
	CasMD5           string // blank: unconditional
	BetaIPs          string // comma-separated, neither trimmed nor checked
	Tag              string

	AppName *string // nil keeps the stored one
	Tags    *string // comma-separated; nil keeps the stored ones
	SrcUser string  // who the client says it is

	// Overwritten by every formal publish, blank or not (NAD-SEM-04).
	Desc, Use, Effect, Schema string
}

// Remove takes away the formal content with all grays, or one tag gray.
type Remove struct {
	DataID, Group, Tenant string
	Tag                   string // blank: all; "blue" and "tag_blue" name the same gray
}

// Query is one read.
type Query struct {
	DataID, Group, Tenant string
	IP                    string // of the caller, for beta grays
	// Tag is the tag that the caller asked for: without a matching gray the
	// answer is ErrNotFound, not the formal content (NAC-CFG-29).
	Tag string
	// TagLabel is the tag that the caller runs with, used when Tag is blank;
	// without a matching gray it is answered the formal content.
	TagLabel string
	// Local answers from what this member has applied: for reads that a push
	// caused.
	Local bool
}

// Result is the content that answers a Query.
type Result struct {
	// Item is shared and read-only; encoded forms may be kept in its Memo.
	Item *configstore.Item
}

// Beta says whether a beta gray answered.
func (r *Result) Beta() bool { return r.Item.Variant != nil && r.Item.Variant.Rule.Type == ruleBeta }

// Tag is the tag of the tag gray that answered, unescaped, else blank.
func (r *Result) Tag() string {
	if v := r.Item.Variant; v != nil && v.Rule.Type == ruleTag {
		return v.Rule.Expr
	}
	return ""
}

// Type is the type of the formal content, for grays too; blank without one.
func (r *Result) Type() string { return r.Item.Head.Type }

// MD5 is the digest of the content in hex.
func (r *Result) MD5() string {
	if v := r.Item.Variant; v != nil {
		return v.Digest.String()
	}
	return r.Item.Head.Digest.String()
}

// Modified is when the content was published, in Unix milliseconds.
func (r *Result) Modified() int64 {
	if v := r.Item.Variant; v != nil {
		return v.Modified
	}
	return r.Item.Head.Modified
}

// DataKey is the wrapped data key and whether to answer one at all: a gray
// without a key answers none, formal content answers blank (NAC-CFG-21).
func (r *Result) DataKey() (string, bool) {
	if v := r.Item.Variant; v != nil {
		return v.Cipher, v.Cipher != ""
	}
	return r.Item.Head.Cipher, true
}
