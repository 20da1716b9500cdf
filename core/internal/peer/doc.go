// Package peer is how members of one cluster reach each other: one port, gRPC
// over TLS, and a proof on each connection that both ends know the secret of the
// cluster (docs/adr/0004).
//
// A Server listens and a Pool speaks. The Pool keeps two connections to each
// other member: one for what is short (heartbeats, votes, acknowledgements,
// calls), one for appends and snapshots, so that ten megabytes never delay a
// heartbeat (ARC-R09). Raft travels on one stream per connection and direction;
// answers come on streams that the other member opens.
//
// Invariants:
//
//   - No byte of gRPC is read from a connection that has not shown the secret,
//     and none is sent on one whose other end has not. Who is at the other end,
//     and of which cluster, is part of the proof; the proof is bound to the TLS
//     session and is worth nothing elsewhere.
//   - Only members take part in raft, proposals and calls. Who merely knows the
//     secret may ask who is there, and ask to join.
//   - Pool.Send never waits: queues are bounded, what does not fit is dropped
//     and raft is told.
//   - Every frame is bounded before memory is taken for it (ARC-S12).
//
// A Server owns the goroutines of its gRPC server, from Serve to Close. A Pool
// owns four for each other member (two lanes, pings, and a snapshot while one
// is sent) and one that reports losses, until Close. Start reading at Pool and
// Server; the handshake is in handshake.go.
package peer
