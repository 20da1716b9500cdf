package configstore

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
)

// Resolve returns the variant for a caller with these labels: the matching one
// of the highest priority, nil when none matches.
func (h *Head) Resolve(labels Pairs) *Variant {
	for _, v := range h.Variants { // in order of priority
		if v.Rule.Matches(labels) {
			return v
		}
	}
	return nil
}

// Matches says whether one of the rule's clauses holds. A rule without compiled
// clauses never matches.
func (r *Rule) Matches(labels Pairs) bool {
	for i := range r.Any {
		if r.Any[i].holds(labels) {
			return true
		}
	}
	return false
}

func (c *Clause) holds(labels Pairs) bool {
	value, ok := labels.Get(c.Label)
	if !ok && c.Label != "" {
		return false
	}
	if c.Values != nil && !slices.Contains(c.Values, value) {
		return false
	}
	if c.Nets != nil && !inNets(c.Nets, value) {
		return false
	}
	if c.Percent > 0 && bucket(value) >= c.Percent {
		return false
	}
	for i := range c.And {
		if !c.And[i].holds(labels) {
			return false
		}
	}
	return true
}

func inNets(nets []string, value string) bool {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(nets, func(n string) bool {
		p, err := netip.ParsePrefix(n)
		return err == nil && p.Contains(addr.Unmap())
	})
}

// bucket places a text in 0..99, the same on every member and for ever.
func bucket(text string) uint8 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return uint8(h.Sum32() % 100)
}

// MatchPattern says whether text matches a pattern in which * stands for any run
// of characters. An empty pattern matches everything.
func MatchPattern(pattern, text string) bool {
	if pattern == "" || pattern == "*" {
		return true
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
