// Package compile is the engine behind core/txn: it turns operations on the
// registry and on configs into row operations on the proposing node and commits
// them together with the caller's own rows, as one entry (CTR-D01, CTR-D02).
//
// Compiling reads the local state and puts a guard on each row it has read. A
// guard that fails at apply means that the state was stale: the batch is
// compiled again. A refusal found while compiling is confirmed after a quorum
// round before it is answered, so that every answer is linearizable (CTR-T03).
//
// Registry operations run first, then configs, then the caller's. The package
// owns no goroutine. Start reading at Committer; enroller compiles the registry,
// planner configs.
package compile
