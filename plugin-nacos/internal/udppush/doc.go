// Package udppush pushes services to the naming clients of 1.x, which ask for
// lists over HTTP and take changes of them over UDP (NAC-UDP-01..09).
//
// Invariants:
//
//   - a packet goes to the machine that asked for it and nowhere else: the address
//     that a list call names counts when the call came from it, or when both are
//     addresses of this machine and no proxy stands between. Nobody can make this
//     server send to somebody else;
//   - nothing that comes over UDP changes what is kept, but for an acknowledgement
//     of a packet that was sent to its sender; datagrams are read up to a bound;
//   - clients, subscriptions and the ways to see one service are bounded; who is
//     refused is answered and polls (NAC-UDP-02);
//   - a packet is made once for all who see a service the same way, and never kept:
//     what is not acknowledged is made again, once, from what is true then;
//   - no packet is larger than its reader takes (NAC-UDP-07): the poll of the client
//     brings what could not be sent.
//
// The package owns no goroutine. The host runs two: API.Serve reads the socket and
// looks every second at what is late, API.Run makes the pushes that are due, as
// package fanout says. Start reading at API.
package udppush
