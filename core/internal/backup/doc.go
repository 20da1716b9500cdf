// Package backup carries the replicated state of a cluster out of it, and into an
// empty data directory that becomes the first member of another cluster.
//
// A backup is a header (magic, format, length, JSON, CRC32C) and a snapshot as
// members send it to each other: table by table, CRC32C per chunk, SHA-256 over
// all. It is one point in time, that of one applied entry. Instances that live in
// memory are not in it.
//
// Invariants of a restore:
//
//   - Nothing stands under its final name before every byte of the backup has been
//     checked and all files are durable. A crash before that moment leaves what
//     the next restore removes; after it, the next restore or start ends the work.
//   - The restored member has new ids, so that members of the old cluster and it
//     refuse each other (REL-22), and none of the old members in its tables.
//   - Revisions go on above what clients of the old cluster can have seen, by a
//     gap (ARC-S01).
//
// The package owns no goroutine. Start reading at Header, then Restore.
package backup
