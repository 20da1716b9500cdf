package config

import (
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/configstore"
)

// The grays that clients can publish.
const (
	ruleBeta    = "beta"
	ruleTag     = "tag"
	ruleVersion = "1.0.0"

	priorityBeta = 1<<31 - 1
	priorityTag  = 1<<31 - 2

	variantBeta = "beta"
	prefixTag   = "tag_"
)

// betaRule serves the callers whose address is in a comma-separated list, by
// its exact text (NAC-CFG-27).
func betaRule(ips string) *configstore.Rule {
	return &configstore.Rule{
		Type: ruleBeta, Version: ruleVersion, Expr: ips, Priority: priorityBeta,
		Any: []configstore.Clause{{Label: LabelIP, Values: strings.Split(ips, ",")}},
	}
}

// tagRule serves the callers that run with a tag or ask for it (NAC-CFG-28).
func tagRule(tag string) *configstore.Rule {
	return &configstore.Rule{
		Type: ruleTag, Version: ruleVersion, Expr: tag, Priority: priorityTag,
		Any: []configstore.Clause{{Label: LabelTag, Values: []string{tag}}},
	}
}

// gray returns the variant that a publish writes, blank for the formal content.
func gray(p *Publish) (string, *configstore.Rule) {
	switch {
	case !blank(p.BetaIPs):
		return variantBeta, betaRule(p.BetaIPs)
	case !blank(p.Tag):
		return prefixTag + p.Tag, tagRule(p.Tag)
	}
	return "", nil
}

// variantOfTag finds the tag gray that a name means: the plain tag, or the name
// that the gray is stored under (NAC-CFG-49). It never means the beta gray.
func variantOfTag(h *configstore.Head, tag string) string {
	if findVariant(h, prefixTag+tag) == nil && strings.HasPrefix(tag, prefixTag) {
		return tag
	}
	return prefixTag + tag
}

func findVariant(h *configstore.Head, name string) *configstore.Variant {
	if h == nil {
		return nil
	}
	for _, v := range h.Variants {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Digest is the digest in hex of the content that answers a caller with these
// labels: of the first matching gray, else the formal one, else blank
// (NAC-CFG-11, NAC-CFG-12). A nil head is an absent config.
func Digest(h *configstore.Head, labels configstore.Pairs) string {
	if h == nil {
		return ""
	}
	if v := h.Resolve(labels); v != nil {
		return v.Digest.String()
	}
	if !h.Formal {
		return ""
	}
	return h.Digest.String()
}

// SameContent says whether two states of one config serve every caller the same
// content: then listeners are not told (NAC-CFG-63). Nil is an absent config.
func SameContent(a, b *configstore.Head) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.Formal == b.Formal && a.Digest == b.Digest &&
		slices.EqualFunc(a.Variants, b.Variants, func(x, y *configstore.Variant) bool {
			return x.Name == y.Name && x.Version == y.Version
		})
}
