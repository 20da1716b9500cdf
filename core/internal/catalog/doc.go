// Package catalog is the service registry of one member: it implements
// registry.Catalog and, for each plugin, registry.Ephemeral.
//
// What it keeps:
//
//   - a service holds its endpoints, sorted. The slice becomes part of a Snapshot
//     when somebody reads the service, and is copied by the next change: a burst
//     of registrations copies nothing, and a change between two reads costs one
//     instance and one slice (CTR-F06);
//   - a publisher holds its instances raw, sorted by service, subset and id;
//   - all services hang on one list, the last changed at its end. A stream is a
//     place in that list, so that changes merge by themselves and a slow reader
//     holds nobody up. Which services it has been given is one bit each, because
//     Appeared, and whether it must hear of an end, cannot be told otherwise;
//   - names are an ordered tree, copied on write, of which readers get a copy.
//
// One mutex guards all of it. It is held for lookups, for moving pointers and
// for copying one slice, never for I/O. Service takes it only for the first read
// after a change: services are found in a table without locks, and their
// snapshots hang on an atomic pointer.
//
// Publishers of instances that live by beats hang in one timing wheel. A beat writes
// one number; the wheel looks at a publisher when one of its instances may have been
// silent for too long, about once in that time, however often they are heard.
//
// What clients are told as the time of a service is no version: those of one member
// grow by one with every change that is seen, and so may run ahead of the clock.
// Each service hands what it was told at last on from snapshot to snapshot
// (registry.Moment), by a clock that does not step back and that members share.
//
// The package owns one goroutine, that of Keeper.Run. Start reading at Engine, then
// service.
package catalog
