package inproc

import (
	"net/http"
	"slices"
	"strings"
)

// Mounts finds handlers by whole segments of a path, the longest prefix first
// (ARC-P03). Fill it first, then share it freely.
type Mounts struct {
	all []Mounted
}

// Mounted is a handler at its prefix, which has no final slash; empty:
// everything.
type Mounted struct {
	Prefix  string
	Handler http.Handler
}

// Add mounts h. A prefix has one owner: see Clean for which are the same.
func (m *Mounts) Add(prefix string, h http.Handler) {
	m.all = append(m.all, Mounted{Clean(prefix), h})
	slices.SortStableFunc(m.all, func(a, b Mounted) int { return len(b.Prefix) - len(a.Prefix) })
}

// Len is the number of prefixes.
func (m *Mounts) Len() int { return len(m.all) }

// Find returns the mount of a path, or nil.
func (m *Mounts) Find(path string) *Mounted {
	for i := range m.all {
		at := &m.all[i]
		if strings.HasPrefix(path, at.Prefix) && (len(path) == len(at.Prefix) || path[len(at.Prefix)] == '/') {
			return at
		}
	}
	return nil
}

// Clean is a prefix without final slashes.
func Clean(prefix string) string { return strings.TrimRight(prefix, "/") }
