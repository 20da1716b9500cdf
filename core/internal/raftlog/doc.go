// Package raftlog is the write-ahead log of one member: the entries of raft and
// its hard state, on disk before anything is acknowledged.
//
// The log is a sequence of segment files, filled with zeros ahead
// of time, so that a write changes no file size and one fdatasync makes it
// durable. A write is one frame; a frame is whole or does not count:
//
//	magic u32 | payload length u32 | durable u32 | CRC32C u32 | payload, padded to 8
//
// The checksum also covers the number of the segment and the offset of the
// frame, so a frame left in a recycled file is never taken for one of its new
// life. Durable is the offset up to which the segment was known to be on disk
// when the frame was written. Reading ends at the first frame that is not
// whole. If a later whole frame says that this place was durable, the log is
// damaged and Open refuses it; if none does, it is the torn end of a write that
// nobody was told about, and it is dropped with a line in the log.
//
// Invariants:
//
//   - Entries are contiguous. A save with a lower index replaces what follows
//     that index; nothing is rewritten in place.
//   - The head is cut by whole segments, after the mark that allows it is
//     durable.
//   - An error of a write or a sync is final: the log returns it from then on
//     and is never tried again (ARC-R10).
//
// One goroutine writes; reads may come from others. A Log owns one goroutine,
// which prepares the next segment; Close joins it. Start reading at Log.
package raftlog
