// Package raftnode runs raft on one member: it takes transactions, makes them
// durable in the log, applies them to the store when they are committed, and
// tells their proposers what became of them.
//
// A Node owns two goroutines, from Start to Close. The loop owns raft and the
// log: it ticks, hears the other members, collects what waits to be proposed
// into as few entries as it can, and for each Ready of raft sends what promises
// nothing, saves with at most one sync, sends votes and acknowledgements, and
// hands committed entries on (ARC-R03). The applier owns the writing side of the
// store and answers proposers once every view has moved. While one batch is
// being synced the previous one is being applied and the next one collects; that
// is the group commit. A member that follows also owns a goroutine for each
// batch of commands that is on its way to the leader.
//
// A leader has one round under way, if the others are near: what comes before it is
// committed makes the next one larger, see open. A follower lets its leader go when it
// is told that its process has ended, but not before the leader's lease is over, see
// heir.
//
// Invariants:
//
//   - Nothing is answered before its entry is durable on a quorum and applied
//     here.
//   - A proposer is told that its command is lost only if no log can commit it
//     any more; then it is proposed anew. What cannot be known is
//     kv.ErrUncertain: after some time without a leader, when the caller gives
//     up, or when a snapshot has overtaken it. See waiters.
//   - The leader takes each forwarded batch once, however often it comes.
//   - An error of the log or of the store ends the node: nothing more is
//     answered as done, Done is closed and Err says why (ARC-R10).
//   - The log is cut only behind what state.db holds, so that a restart can
//     replay the rest.
//   - Nothing here waits for another member while it holds the loop.
//
// Start reading at Node, then loop, then route.
package raftnode
