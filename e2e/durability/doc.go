// Package durability kills the built server under load, cuts the power of the
// disk below it, and checks that nothing acknowledged is lost (REL-01, REL-02,
// REL-03, REL-05).
//
// The disk is a losefs mount, so that what was not synced is really gone. The
// load is clients that publish and remove configs over HTTP, each on items of
// its own and one request at a time: the order of its requests is the order of
// the item's states, and after a crash an item must be in the state of the last
// acknowledged request or of a later one.
//
// The seed of a run is printed; BATATA_SEED repeats it. BATATA_E2E=full runs
// the long set. Start reading at site.go, then item.go.
package durability
