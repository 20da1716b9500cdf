// Package naming holds what a Nacos server means by a service and its instances,
// for every transport alike: which spellings name one service, what a
// registration checks and replaces, which instances a caller is answered, and
// how a list looks as JSON.
//
// A service is a registry.ServiceKey, a cluster is a registry subset, and a
// client is a publisher: a gRPC connection by its id, an HTTP client by the
// address of its instance (Address). A client has one registration in a service,
// which the next one replaces and a deregistration removes whatever it names
// (NAC-NAM-21, 22). Instances of ephemeral clients live in the memory of core,
// those of persistent ones are committed.
//
// Invariants:
//
//   - a service holds ephemeral or persistent instances, never both, as far as
//     Nacos registered them; records of other protocols do not count
//     (NAC-NAM-23, BRG-NAC-05);
//   - what is persistent is read Fresh unless the caller asks for the local
//     state (ARC-R08);
//   - lastRefTime is the time of the answer, and later with every state of a service
//     that is told (NAC-QRK-02, registry.Moment);
//   - the JSON of a list is made once for each snapshot (ENG-05), and holds no null
//     (NAC-TRN-07).
//
// The package owns no goroutine: Service.Run is called by a worker of the host,
// pulls the one stream of changes and calls the listeners in order. Start reading
// at Service, then Instance, Query and List.
package naming
