// Package fsm is the replicated state machine: the form of the commands in the
// log and what each of them does to the rows.
//
// Invariants:
//
//   - Applying is deterministic: no clock, no randomness, no order of a Go map,
//     no environment. Members that applied the same commands hold the same rows.
//   - Applying is total: whatever bytes the log holds, the result is an Outcome,
//     never a panic and never a stop (FLT-01). The one exception is a format
//     that this build does not know, see ErrFormat.
//   - A refused transaction leaves no trace.
//
// Keys are absolute here: the uvarint of the table's id, then the key of the
// caller. The Key of a kv.Record however is the caller's own, so that readers
// hand records out as they are.
//
// The package starts no goroutine and reads no file. Start reading at Command,
// then Machine.Apply.
package fsm
