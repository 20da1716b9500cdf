// Package rpc serves gRPC over HTTP/2 connections that it is given. It takes the
// services and codecs of grpc-go and gives handlers what they know from there;
// beneath, it is made for many clients at rest, for short calls and for messages
// that thousands get at a time (GOAL-03, 04, 10, 16).
//
// Invariants:
//
//   - a connection at rest has one goroutine, the one that reads it, and no
//     buffers; a handler never runs on it, so calls never hold each other up;
//   - nobody waits to write: who has something to send adds it under the lock of
//     the connection and writes what is there, unless somebody is at it already. A
//     goroutine that waits for a slow client exists only while one does;
//   - an answer leaves in one write when flow control lets it;
//   - nothing that a client sends is kept before it was bounded: frames, header
//     lists, messages, what all messages of a connection hold together, streams, and
//     frames that make the server work without a call (SEC-20);
//   - what a handler sends is referred to, not copied, when it is long, and must not
//     change.
//
// Every goroutine belongs to a Server and ends by Stop: one for each connection,
// those of handlers, those that wait for slow clients, and the one of Serve that
// looks after silent connections. Start reading at Server, then conn.
package rpc
