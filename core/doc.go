// Package core assembles one node of Batata: the replicated store, the config
// store, the directory of users, in three lines and without a port:
//
//	node, err := core.Start(ctx, core.Config{DataDir: "data"})
//	if err != nil { return err }
//	defer node.Close()
//
// There is no global state: no flags, no signals, no default logger or metrics
// registry, and two nodes in one process work.
//
// The data directory holds:
//
//	log/         the write-ahead log of raft, segments of 64 MiB, the first one smaller
//	state.db     the applied state, behind the log by at most what may be replayed
//	member.json  the ids of this member and its cluster
//	secret       what signs tokens, mode 0600, unless Config names a secret or there are other members
//
// With Config.Peer the node is one of several: it finds or forms its cluster, see
// docs/adr/0005.
//
// Everything in it belongs to one moment: back it up and restore it as a whole.
//
// A Node owns the goroutines of its parts, from Start to Close. Start reading at
// Start.
package core
