// Package kvtest is the conformance suite of package kv: every implementation of
// kv.Store and kv.Leases runs it, in process or behind a border.
//
// It also holds Model, a store of a hundred plain lines that others are compared
// with. The package owns the goroutines of its tests only and joins them. Start
// reading at Run.
package kvtest
