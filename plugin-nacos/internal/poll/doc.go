// Package poll is the long poll of V1 (NAC-H1C-30..42): a client sends the
// digests of what it holds and is answered when one of them is no longer right.
//
// Invariants: a poll joins the hub before it compares, so no change falls
// between; a poll ends once, by a change of content, never by one of
// metadata alone; the number of parked polls is bounded.
//
// The package owns no goroutine. A poll waits where the host keeps its request
// (plugin.Parker), or in the goroutine of its request. Start reading at Keeper.
package poll
