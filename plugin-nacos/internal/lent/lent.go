// Package lent reads texts as bytes and bytes as texts without a copy. Whoever
// calls it knows that nobody writes to the bytes any more.
//
// The package owns no goroutine.
package lent

import "unsafe"

// Text is b as a text.
func Text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // see the package

// Bytes is s as bytes, which must not be changed.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // see the package
