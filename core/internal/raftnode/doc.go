// Package raftnode runs raft on one member: it takes transactions, makes them
// durable in the log, applies them to the store when they are committed, and
// tells their proposers what became of them.
//
// A Node owns two goroutines, from Start to Close. The loop owns raft and the
// log: it ticks, collects what waits to be proposed into as few entries as it
// can, and for each Ready of raft saves first, with at most one sync, and hands
// committed entries on afterwards (ARC-R03). The applier owns the writing side
// of the store and answers proposers once every view has moved. While one batch
// is being synced the previous one is being applied and the next one collects;
// that is the group commit.
//
// Invariants:
//
//   - Nothing is answered before its entry is durable and applied.
//   - An error of the log or of the store ends the node: nothing more is
//     answered as done, Done is closed and Err says why (ARC-R10).
//   - The log is cut only behind what state.db holds, so that a restart can
//     replay the rest.
//
// This version runs a group of one. Start reading at Node, then loop.
package raftnode
