// Package swarm holds thousands of clients of the SDK protocol, or parked long
// polls, in one process at little cost: one goroutine waits on all sockets, each
// client is a small state machine without a goroutine or a buffer of its own, and
// what goes out was encoded before.
//
// What always holds: a push is acknowledged as soon as its last byte was read;
// callbacks run on the goroutine of the swarm, one at a time, and must not block;
// a message of any length is scanned as it streams by and never collected.
//
// A Swarm owns one goroutine, from New to Close. Start reading at swarm.go; sdk.go
// is the gRPC client, poll.go the long poll.
package swarm
