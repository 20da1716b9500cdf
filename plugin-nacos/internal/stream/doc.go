// Package stream is the gRPC transport of Nacos: connections and their setup,
// the dispatch of calls by type, and pushes that are repeated until the client
// acknowledges them (NAC-TRN, NAC-CON, NAC-PSH, NAC-ERR).
//
// Invariants:
//
//   - a connection is a transport: its identity comes from a hook of the
//     transport and never from a message (NAC-TRN-10);
//   - checks run in one order: started, server check, known type, registered,
//     parsed, allowed, handler (NAC-ERR);
//   - whoever pushes never waits: a push is a mark on the connection, and a
//     second one for the same key while the first is on its way is one more
//     round, so what is held is bounded by what the client listens to;
//   - streams have no goroutine here (plugin.Detacher), and one pusher at a time
//     writes to a connection;
//   - what is sent is made of parts that are shared between clients and never
//     changed.
//
// The package owns one goroutine that looks for idle connections (Server.Detect) and,
// while something is due, as many pushers as there are processors, which Drain waits
// for. Start reading at Server.
package stream
