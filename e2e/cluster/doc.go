// Package cluster tests members as processes of their own while clients work
// through all of them: killed at random and at failpoints, stopped, paused, given
// empty disks, and cut off from each other by proxies (REL-01, 06 to 12, 20, 21,
// 24).
//
// What is acknowledged is counted and must be there afterwards, on every member.
// Two loads are made for that: writers, which publish rising numbers, and chains,
// where each content names the one that it replaced by compare, so that the whole
// order of writes is known at the end and every acknowledged write has its place
// in it. A request that got no answer may have happened. A run with too little
// load is an error.
//
// The seed of a run is printed; -seed repeats it, and BATATA_E2E=full runs the
// long set. Start reading at main_test.go, then chain.go.
package cluster
