// Package repair looks at the data directory of a member that does not run, and
// mends what an operator accepts the loss of: a damaged log, and a cluster whose
// majority is gone for ever.
//
// Invariants:
//
//   - Verify changes nothing.
//   - Nothing that is acknowledged and within reach is dropped. Entries that a
//     lost majority may have committed count as committed.
//   - What cannot be saved is named, and the caller has to name it again.
//   - The old log is moved aside, never removed. A repair that is cut short may be
//     run again.
//
// The package owns no goroutine but those of a store that it opens. Start reading
// at Verify, then Mend.
package repair
