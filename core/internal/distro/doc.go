// Package distro keeps the ephemeral part of the registry the same on all members
// (ARC-A01 to A07). Nothing of it is on disk and nothing needs a quorum.
//
// What travels is the state of one publisher: all it has, or that it is gone, with
// a Stamp. Of two states of a publisher the one with the higher stamp counts; at
// equal stamps, the end does. So messages may be lost, late or repeated, and
// members that know the same states hold the same registry.
//
// Each publisher has one member that answers for it, and every member works out
// alone who that is:
//
//   - clients with a connection: the member that holds it, while it is in sight;
//   - clients without: the highest of a hash over key and member, among those that
//     are up or suspect. A set that moves keeps its stamp until its client says
//     something; its beats count anew (ARC-A07);
//   - sets whose member went out of sight stay as they are and are called stale.
//     The same hash says who may end them.
//
// A change is told to all members within 50 ms. Every five seconds each member
// tells a sum over what it answers for, bucket by bucket. Who finds another sum
// asks what stands in the bucket, and wants, sends or drops what differs. That
// alone makes members equal; the rest is haste.
//
// Invariants:
//
//   - Only who answers for a publisher ends it, and remembers for ten minutes
//     that it did: an older state comes back to nobody. A member that was away
//     for longer than five minutes offers nothing that it has not seen confirmed.
//   - A client that is connected here is registered everywhere: whoever believed
//     that it was gone is told a higher incarnation.
//   - What a state says of a client that has not spoken since (silence, seen by a
//     member that took over) yields to the news that the client has left.
//   - Equal stamps are equal content: a set is read, and stamped anew when it
//     has changed meanwhile, before it is sent.
//   - A group of one keeps no records, sends nothing and is told nothing.
//   - Queues hold each publisher once and are bounded; what does not fit is found
//     by the next sum.
//
// An Engine owns one goroutine that keeps time and one for each other member, from
// Start to Shutdown. State is a value that they drive: it has no goroutine and no
// clock of its own, so that a test can drive many of them through a bad network.
// Start reading at Stamp, then state, then merge.
package distro
