// Package configraft keeps configs in the replicated store: the raft backend of
// core/configstore.
//
// An item is one hot row, the head, one hot row per variant, and one cold row
// per version ever written, which holds the bytes. Whoever changes a variant
// also touches the head, so the revision of the head covers everything (CTR-M20).
// Rows are written by core/internal/compile, which knows the codecs of this
// package; this package reads.
//
// Store is an observer of the rows. It finds the row of every head by key, and
// moves before any watcher or proposer hears of a change; the order of the heads
// is that of the rows. A head is decoded by its first reader and kept for the
// next ones, within bounds, until its row changes. Content is read through a
// cache that is bounded in bytes; a new version of an item that is being read
// enters it while it is applied, so that those who are woken do not all go to the
// disk.
//
// The package owns no goroutine but that of Retain. Start reading at Store.
package configraft
