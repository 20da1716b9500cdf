// Package namingrpc serves services over the gRPC transport (NAC-NAM-20..31):
// register, deregister, batch, persistent, query, list, subscribe, and the pushes
// to those who subscribed.
//
// Invariants:
//
//   - what a connection registered ends with it, and nothing is registered for a
//     connection that has ended (NAC-NAM-51);
//   - a subscriber is noted before it is answered, so that no change falls
//     between.
//
// The package owns no goroutine: API.Run is called by a worker of the host and
// makes the pushes that are due, as package fanout says. Start reading at API.
package namingrpc
