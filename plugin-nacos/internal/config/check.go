package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of NAC-CFG-46, in characters unless said otherwise.
const (
	maxNamespace = 64
	maxDataID    = 256
	maxGroup     = 128
	maxTag       = 16
	maxTags      = 5
	maxTagsItem  = 64
	maxDesc      = 128
	maxUse       = 32
	maxEffect    = 32
	maxSchema    = 32768
)

// CheckFormat is the parameter check that runs before every handler: it looks
// at lengths and characters, and lets blank values pass. The error is an *Error
// with reason BadFormat.
func CheckFormat(dataID, group, tenant string) error {
	if err := checkFormat("namespaceId/tenant", tenant, maxNamespace, isNamespaceByte); err != nil {
		return err
	}
	if err := checkFormat("dataId", dataID, maxDataID, isNameByte); err != nil {
		return err
	}
	return checkFormat("group", group, maxGroup, isNameByte)
}

func checkFormat(name, value string, limit int, legal func(byte) bool) error {
	if blank(value) {
		return nil
	}
	if len(value) > limit && utf8.RuneCountInString(value) > limit {
		return &Error{BadFormat, fmt.Sprintf("Param '%s' is illegal, the param length should not exceed %d.", name, limit)}
	}
	for i := range len(value) {
		if !legal(value[i]) {
			return &Error{BadFormat, "Param '" + name + "' is illegal, illegal characters should not appear in the param."}
		}
	}
	return nil
}

func isNamespaceByte(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNameByte(c byte) bool { return isNamespaceByte(c) || c == '.' || c == ':' }

// CheckKey refuses blank and illegal names; what it refuses comes after
// CheckFormat.
func CheckKey(dataID, group string) error {
	if !legalName(dataID) {
		return &Error{BadKey, "invalid dataId : " + dataID}
	}
	if !legalName(group) {
		return &Error{BadKey, "invalid group : " + group}
	}
	return nil
}

// legalName takes letters and digits of any script, _ - . : and no blank text.
func legalName(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:", r) {
			return false
		}
	}
	return true
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// check refuses what must not be stored, in the order clients know.
func (s *Service) check(p *Publish) error {
	if err := CheckFormat(p.DataID, p.Group, p.Tenant); err != nil {
		return err
	}
	if err := CheckKey(p.DataID, p.Group); err != nil {
		return err
	}
	if len(p.Content) > s.maxContent {
		return &Error{BadKey, fmt.Sprintf("invalid content, over %d", s.maxContent)}
	}
	if isBlankContent(p.Content) {
		return &Error{BadKey, "content is blank : " + string(p.Content)}
	}
	if err := checkTag(p.Tag); err != nil {
		return err
	}
	return checkMeta(p)
}

func checkTag(tag string) error {
	switch {
	case tag == "":
		return nil
	case !legalName(tag):
		return &Error{BadTag, "invalid tag : " + tag}
	case utf8.RuneCountInString(tag) > maxTag:
		return &Error{BadTag, fmt.Sprintf("too long tag, over %d", maxTag)}
	}
	return nil
}

func checkMeta(p *Publish) error {
	if p.Tags != nil {
		tags := splitTags(*p.Tags)
		if len(tags) > maxTags {
			return &Error{BadMeta, fmt.Sprintf("too much config_tags, over %d", maxTags)}
		}
		for _, t := range tags {
			if utf8.RuneCountInString(t) > maxTagsItem {
				return &Error{BadMeta, fmt.Sprintf("too long tag, over %d", maxTagsItem)}
			}
		}
	}
	for _, f := range [...]struct {
		name, value string
		limit       int
	}{
		{"desc", p.Desc, maxDesc},
		{"use", p.Use, maxUse},
		{"effect", p.Effect, maxEffect},
		{"schema", p.Schema, maxSchema},
	} {
		if utf8.RuneCountInString(f.value) > f.limit {
			return &Error{BadMeta, fmt.Sprintf("too long %s, over %d", f.name, f.limit)}
		}
	}
	return nil
}

// splitTags splits a list of tags; blank items are dropped.
func splitTags(list string) []string {
	var out []string
	for t := range strings.SplitSeq(list, ",") {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

func isBlankContent(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if !unicode.IsSpace(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// NormalType maps what a client calls a type to one of the known ones
// (NAC-CFG-42).
func NormalType(t string) string {
	switch t {
	case "properties", "xml", "json", "text", "html", "yaml", "toml", "unset":
		return t
	}
	return "text"
}
