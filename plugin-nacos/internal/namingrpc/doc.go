// Package namingrpc serves services over the gRPC transport (NAC-NAM-20..31):
// register, deregister, batch, persistent, query, list, subscribe, and the pushes
// to those who subscribed.
//
// Invariants:
//
//   - what a connection registered ends with it, and nothing is registered for a
//     connection that has ended (NAC-NAM-51);
//   - a subscriber is noted before it is answered, so that no change falls
//     between;
//   - a subscriber is pushed at least once after the last change, with the newest
//     list (NAC-SET-08); a list is made once for all who see it the same way;
//   - while the server warms up no list is pushed that is smaller than one it has
//     shown (FLT-04).
//
// The package owns no goroutine: API.Run is called by a worker of the host and
// makes the pushes that are due. Start reading at API, then pusher.
package namingrpc
