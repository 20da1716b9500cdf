// Package store holds the applied state of one member: hot rows in memory, all
// rows in state.db, and the events of the recent past.
//
// Invariants:
//
//   - Only the caller of Apply, ApplyConf and Install changes state: call them
//     from one goroutine. Readers take an immutable Root and never wait.
//   - state.db moves from one applied index to a later one in one bbolt
//     transaction that holds the rows and the index. What is not there yet is
//     replayed from the raft log, so the log may be cut up to Persisted only.
//   - At each revision observers run first, watchers see the events afterwards,
//     and Apply returns last (CTR-B06, CTR-B07).
//   - An error of an fsync or a commit is final: the store fails, says so
//     through Options.OnFail and takes nothing more. A full disk is not: the
//     store keeps everything in memory, reports ReadOnly and tries again.
//
// A Store owns one goroutine, the persister, started by Open and joined by
// Close. Start reading at Store, then Apply, then persister.
package store
